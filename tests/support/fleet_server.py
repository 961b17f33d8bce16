"""A small HTTP(S) server that lists ManagedClusters as a parent's API server does: pages, refusals, real sockets."""

import datetime
import http.server
import ipaddress
import json
import ssl
import threading
import uuid
from pathlib import Path
from typing import Any, NamedTuple, Self
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

LIST = "/apis/clusters.clusternet.io/v1beta1"


def managed_cluster(name: str, namespace: str = "", ready: str | None = "True", **changes: Any) -> dict:
    """Return a ManagedCluster as a hub stores it; `changes` replace whole parts such as ``status``."""
    namespace = namespace or f"clusternet-{name}"
    condition = {"type": "Ready", "status": ready, "reason": "ManagedClusterReady", "message": "heartbeat"}
    return {
        "apiVersion": "clusters.clusternet.io/v1beta1",
        "kind": "ManagedCluster",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{name}.{namespace}")),
            "resourceVersion": "7",
            "labels": {"region": "eu", "clusters.clusternet.io/cluster-name": name},
            "managedFields": [{"manager": "clusternet-agent", "fieldsV1": {"f:status": {}}}] * 2,
        },
        "spec": {
            "clusterId": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{name}.{namespace}")),
            "clusterType": "StandardCluster",
            "syncMode": "Dual",
        },
        "status": {
            "k8sVersion": "v1.34.4",
            "platform": "linux/amd64",
            "agentVersion": "v0.1.0",
            "apiserverURL": "https://10.0.0.1:6443",
            "lastObservedTime": "2026-11-23T10:00:00Z",
            "healthz": True,
            "livez": True,
            "readyz": True,
            "appPusher": True,
            "useSocket": True,
            "nodeStatistics": {"readyNodes": 3},
            "capacity": {"memory": "64Gi", "cpu": "12"},
            "allocatable": {"memory": "60Gi", "cpu": "11"},
            "conditions": [condition] if ready else [],
        },
        **changes,
    }


class Seen(NamedTuple):
    """A request as it arrived."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, list[str]]


class FleetServer:
    """Serves the clusters it is given; every switch is an attribute that may change while it runs."""

    def __init__(self, clusters: list[dict] = (), tls: "Certificates | None" = None) -> None:
        self.clusters = list(clusters)
        self.requests: list[Seen] = []
        self.tokens: set[str] | None = None
        self.forbidden: set[str] = set()
        self.kind_known = True
        self.expire_continue = 0
        self.answers: list[tuple[int, dict[str, str], bytes]] = []
        self.headers: dict[str, str] = {}
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls.server)
            context.load_verify_locations(tls.ca)
            context.verify_mode = ssl.CERT_OPTIONAL
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join(timeout=10)
        self._server.server_close()

    def respond(self, seen: Seen) -> tuple[int, dict]:
        """Answer one request."""
        token = (seen.headers.get("authorization") or [""])[0].removeprefix("Bearer ")
        if self.tokens is not None and token not in self.tokens:
            return _failure(401, "Unauthorized", "Unauthorized")
        namespace = seen.path.split("/")[5] if "/namespaces/" in seen.path else ""
        if not self.kind_known or not seen.path.startswith(LIST):
            return _failure(404, "NotFound", "the server could not find the requested resource")
        if namespace in self.forbidden:
            where = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
            return _failure(
                403,
                "Forbidden",
                'managedclusters.clusters.clusternet.io is forbidden: User "jane" cannot list resource '
                f'"managedclusters" in API group "clusters.clusternet.io" {where}',
            )
        found = [item for item in self.clusters if _selected(item, namespace, seen.query.get("labelSelector", ""))]
        start, limit = int(seen.query.get("continue", 0)), int(seen.query.get("limit", 0)) or len(found)
        if start and self.expire_continue:
            self.expire_continue -= 1
            return _failure(410, "Expired", "The provided continue parameter is too old")
        rest = {"continue": str(start + limit)} if start + limit < len(found) else {}
        return 200, {"kind": "ManagedClusterList", "metadata": rest, "items": found[start : start + limit]}

    def _handler(self) -> type:
        fleet = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                headers = {name.lower(): self.headers.get_all(name) for name in self.headers}
                query = {name: values[0] for name, values in parse_qs(parts.query).items()}
                self.rfile.read(int(self.headers.get("content-length", 0)))
                seen = Seen(self.command, parts.path, query, headers)
                fleet.requests.append(seen)
                if fleet.answers:
                    status, extra, body = fleet.answers.pop(0)
                else:
                    status, answer = fleet.respond(seen)
                    extra, body = {}, json.dumps(answer).encode()
                if status == 0:
                    self.close_connection = True
                    return
                self.send_response(status)
                for name, value in {**fleet.headers, **extra, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_PATCH = do_PUT = do_DELETE = do_GET

            def log_message(self, *_: object) -> None:
                pass

        return Handler


class Certificates(NamedTuple):
    """Paths of PEM files: a CA, a server's and a client's certificate with their keys."""

    ca: Path
    server: Path
    client: Path

    @classmethod
    def make(cls, folder: Path) -> Self:
        """Sign a server certificate for 127.0.0.1 and a client certificate, valid for an hour."""
        key, ca = _certificate("test CA", None)
        paths = cls(folder / "ca.pem", folder / "server.pem", folder / "client.pem")
        paths.ca.write_bytes(ca.public_bytes(serialization.Encoding.PEM))
        for path, name in ((paths.server, "server"), (paths.client, "client")):
            own_key, certificate = _certificate(name, (key, ca))
            path.write_bytes(
                certificate.public_bytes(serialization.Encoding.PEM)
                + own_key.private_bytes(
                    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
                )
            )
        return paths


def _certificate(name: str, issuer: Any) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    hour = datetime.timedelta(hours=1)
    addresses = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("parent.example.com")]
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[1].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - hour)
        .not_valid_after(now + hour)
        .add_extension(x509.BasicConstraints(ca=not issuer, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(addresses), critical=False)
    )
    return key, builder.sign(issuer[0] if issuer else key, hashes.SHA256())


def _selected(item: dict, namespace: str, selector: str) -> bool:
    wanted = dict(pair.split("=") for pair in selector.split(",") if pair)
    metadata = item["metadata"]
    return namespace in ("", metadata["namespace"]) and wanted.items() <= metadata["labels"].items()


def _failure(status: int, reason: str, message: str) -> tuple[int, dict]:
    return status, {"kind": "Status", "status": "Failure", "reason": reason, "message": message, "code": status}
