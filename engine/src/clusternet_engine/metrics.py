"""What the programs count, in Prometheus terms; served at ``/metrics``."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

RECONCILES = Counter(
    "clusternet_reconcile_total", "Reconciles by outcome: success, requeue or error.", ["controller", "result"]
)
RECONCILE_SECONDS = Histogram(
    "clusternet_reconcile_seconds",
    "Seconds a reconcile took.",
    ["controller"],
    buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
QUEUE_DEPTH = Gauge("clusternet_queue_depth", "Keys waiting for a worker.", ["controller"])
CLUSTERS_REGISTERED = Gauge("clusternet_clusters_registered", "ManagedClusters on the parent.")
CLUSTERS_READY = Gauge("clusternet_clusters_ready", "ManagedClusters whose condition Ready is True.")
REGISTRATIONS_WAITING = Gauge(
    "clusternet_registrations_waiting", "Registration requests that wait for an administrator to approve them."
)
API_REQUESTS = Counter("clusternet_api_requests_total", "Answers of API servers by HTTP status.", ["method", "code"])
INFORMER_LISTS = Counter("clusternet_informer_lists_total", "Full lists an informer made.", ["resource"])
MALFORMED_OBJECTS = Gauge(
    "clusternet_malformed_objects",
    "Objects that are nested too deeply to be read whole, or that an index or a handler can't make use of.",
    ["resource"],
)
HANDLER_FAILURES = Counter(
    "clusternet_handler_failures_total", "Failures of indexes and handlers on one object.", ["resource"]
)
LEADER = Gauge("clusternet_leader", "1 while this process holds the lease.", ["lease"])
TUNNELS = Gauge("clusternet_socket_connections_count", "Tunnels that are open.")
TUNNEL_SECONDS = Histogram(
    "clusternet_socket_connections_duration_seconds",
    "Seconds for which tunnels were open that have ended.",
    buckets=(1, 10, 60, 600, 3600, 6 * 3600, 24 * 3600, 7 * 24 * 3600),
)
CONNECTIONS_REFUSED = Counter(
    "clusternet_connections_refused_total",
    "Connections closed before their clients had authenticated: their time was up (handshake, head, request, idle), "
    "their head was too long (size), there were too many (crowd), no file descriptor was left (descriptors).",
    ["reason"],
)
PEERS = Gauge("clusternet_hub_peers", "Sessions with other hubs, by who has dialled: self or peer.", ["dialled_by"])
