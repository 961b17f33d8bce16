"""Defines the flags of `clusternet-agent`, and what they must keep to; needs nothing but the standard library."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from clusternet_engine.agent import settings as rules
from clusternet_engine.agent.settings import Settings
from clusternet_engine.flags import (
    ClientFlags,
    LeaderElectionFlags,
    ServingFlags,
    add_chart_flags,
    boolean,
    destinations,
    make_parser,
    optional_host,
    port,
    positive_duration,
)
from clusternet_engine.model import constants as names
from clusternet_engine.model import features

PORT = 10650
LOOPBACK, EVERYWHERE = "127.0.0.1", "0.0.0.0"  # noqa: S104


@dataclass(frozen=True, slots=True)
class Arguments:
    """Holds what the flags say, checked.

    Attributes:
        settings: the agent's own flags.
        access: how to reach the child.
        serving: of health and metrics.
        election: the Lease.
        gates: that are switched on or off.
        verbosity: how much to log.
    """

    settings: Settings
    access: ClientFlags
    serving: ServingFlags
    election: LeaderElectionFlags
    gates: dict[str, bool]
    verbosity: int


def parse(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> Arguments:
    """Return what a command line says; ends the program with a message if it is wrong.

    Args:
        parser: of `make_agent_parser`.
        argv: the arguments; None stands for those of this process.
    """
    arguments = parser.parse_args(argv)
    settings = check(parser, arguments)
    election = LeaderElectionFlags.of(arguments, parser)
    if not election.enabled:
        parser.error("argument --leader-elect: must be true, since the UID of the Lease is the identity of the cluster")
    return Arguments(
        settings,
        ClientFlags.of(arguments),
        ServingFlags.of(arguments, parser),
        election,
        arguments.feature_gates,
        arguments.verbosity,
    )


def make_agent_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = make_parser(names.AGENT, "Registers this cluster with a parent cluster and reports its status there.")
    ClientFlags.add(parser)
    ServingFlags.add(parser, PORT, LOOPBACK)
    LeaderElectionFlags.add(parser, names.AGENT)
    _add_registration_flags(parser.add_argument_group("registration"))
    _add_status_flags(parser.add_argument_group("status"))
    parser.add_argument_group("tunnel").add_argument(
        "--socket-destinations",
        metavar="HOST[:PORT],...",
        type=destinations,
        default=(),
        help="what the hub may connect to through this agent beside the API server of this cluster, with feature gate "
        "SocketConnection: hosts, *.domains, IP addresses and CIDRs, * for everything",
    )
    add_chart_flags(parser)
    return parser


def _add_registration_flags(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--parent-token-renewal",
        metavar="SHARE",
        type=rules.positive_share,
        default=0.8,
        help="share of its life after which the token for the parent is renewed, if it expires",
    )
    group.add_argument(
        "--cluster-reg-parent-url",
        metavar="URL",
        type=rules.parent_url,
        help="URL of the parent's API server; default: key parentURL of Secret clusternet-agent-cluster-registration",
    )
    group.add_argument(
        "--cluster-reg-token",
        metavar="TOKEN",
        type=rules.registration_token,
        help="bootstrap token or ServiceAccount token; default: key regToken of that Secret, which keeps it off the "
        "process list",
    )
    group.add_argument(
        "--cluster-reg-ca-file",
        metavar="FILE",
        type=rules.readable_file,
        help="CA bundle (PEM) of the parent; default: key ca.crt of that Secret, else the system's trust store",
    )
    group.add_argument(
        "--insecure-skip-tls-verify",
        type=boolean,
        nargs="?",
        const=True,
        default=False,
        metavar="BOOL",
        help="do not verify the parent's certificate; whoever sits on the way can then take the cluster over",
    )
    group.add_argument(
        "--cluster-reg-name",
        metavar="NAME",
        type=rules.cluster_name,
        default="",
        help=f"name of the ManagedCluster, at most {rules.CLUSTER_NAME_LIMIT} characters; else made from the prefix",
    )
    group.add_argument(
        "--cluster-reg-name-prefix",
        metavar="PREFIX",
        type=rules.cluster_name_prefix,
        default="clusternet-cluster",
        help=f"prefix of made names, at most {rules.NAME_PREFIX_LIMIT} characters",
    )
    group.add_argument(
        "--cluster-reg-namespace",
        metavar="NAMESPACE",
        type=rules.cluster_namespace,
        default="",
        help="wanted namespace of the cluster on the parent; default: the hub makes one",
    )
    group.add_argument(
        "--cluster-reg-type",
        choices=names.CLUSTER_TYPES,
        default=names.CLUSTER_TYPES[0],
        help="type of the cluster",
    )
    group.add_argument(
        "--cluster-sync-mode",
        choices=names.SYNC_MODES,
        default=names.PULL,
        help="who deploys to this cluster: the hub (Push), the agent (Pull), or both",
    )
    group.add_argument(
        "--cluster-labels",
        metavar="KEY=VALUE,...",
        type=rules.cluster_labels,
        default={},
        help="labels the ManagedCluster gets when it is created",
    )


def _add_status_flags(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--labels-aggregate-prefix",
        metavar="PREFIX",
        action="append",
        help="labels of nodes with this prefix are summed up on the ManagedCluster; may be repeated; "
        f"default {names.NODE_LABEL_PREFIX}",
    )
    group.add_argument(
        "--labels-aggregate-threshold",
        metavar="SHARE",
        type=rules.share,
        default=0.8,
        help="share of the worker nodes that must have a label's value, 0 to 1",
    )
    group.add_argument(
        "--cluster-status-collect-frequency",
        metavar="DURATION",
        type=positive_duration,
        default="20s",
        help="time between two collections of the status",
    )
    group.add_argument(
        "--cluster-status-update-frequency",
        metavar="DURATION",
        type=positive_duration,
        default="3m",
        help="time between two heartbeats",
    )
    group.add_argument(
        "--use-metrics-server",
        type=boolean,
        nargs="?",
        const=True,
        default=False,
        metavar="BOOL",
        help="report pod counts and resource usage from metrics.k8s.io",
    )
    group.add_argument(
        "--predictor-addr",
        metavar="URL",
        default="",
        help="address of a predictor for this cluster, reported with feature gate Predictor; default: the built-in one",
    )
    group.add_argument(
        "--predictor-port",
        metavar="PORT",
        type=port,
        default=8080,
        help="port of the built-in predictor, which runs with feature gate Predictor; 0 takes a free one",
    )
    group.add_argument(
        "--predictor-bind-address",
        type=optional_host,
        default="",
        metavar="IP",
        help=f"address that the built-in predictor listens on; default {LOOPBACK}, with --predictor-direct-access that "
        f"of --bind-address, or {EVERYWHERE} if that is {LOOPBACK}",
    )
    group.add_argument(
        "--predictor-direct-access",
        type=boolean,
        nargs="?",
        const=True,
        default=False,
        metavar="BOOL",
        help="the parent can reach the predictor without the tunnel",
    )


def _predictor_host(arguments: argparse.Namespace) -> str:
    """Return where the predictor listens if nobody says so: as narrowly as those who ask it allow."""
    if not arguments.predictor_direct_access:
        return LOOPBACK
    return EVERYWHERE if arguments.bind_address == LOOPBACK else str(arguments.bind_address)


def check(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> Settings:
    """Return the agent's own settings; ends the program with a message when flags contradict each other."""
    gates = arguments.feature_gates
    if arguments.cluster_sync_mode == "Push" and not features.enabled(gates, features.APP_PUSHER):
        parser.error("argument --cluster-sync-mode: Push needs --feature-gates=AppPusher=true")
    return Settings(
        system_namespace=arguments.leader_elect_resource_namespace,
        parent_url=arguments.cluster_reg_parent_url,
        token=arguments.cluster_reg_token,
        ca_file=arguments.cluster_reg_ca_file,
        insecure_skip_tls_verify=arguments.insecure_skip_tls_verify,
        cluster_name=arguments.cluster_reg_name,
        cluster_name_prefix=arguments.cluster_reg_name_prefix,
        cluster_namespace=arguments.cluster_reg_namespace,
        cluster_type=arguments.cluster_reg_type,
        sync_mode=arguments.cluster_sync_mode,
        cluster_labels=arguments.cluster_labels,
        aggregate_prefixes=tuple(arguments.labels_aggregate_prefix or (names.NODE_LABEL_PREFIX,)),
        aggregate_threshold=arguments.labels_aggregate_threshold,
        collect_frequency=arguments.cluster_status_collect_frequency,
        update_frequency=arguments.cluster_status_update_frequency,
        use_metrics_server=arguments.use_metrics_server,
        app_pusher=features.enabled(gates, features.APP_PUSHER),
        predictor=features.enabled(gates, features.PREDICTOR),
        predictor_address=arguments.predictor_addr,
        predictor_port=arguments.predictor_port,
        predictor_host=arguments.predictor_bind_address or _predictor_host(arguments),
        predictor_direct_access=arguments.predictor_direct_access,
        socket_connection=features.enabled(gates, features.SOCKET_CONNECTION),
        socket_destinations=arguments.socket_destinations,
        qps=arguments.kube_api_qps,
        burst=arguments.kube_api_burst,
        recovery=features.enabled(gates, features.RECOVERY),
        token_renewal=arguments.parent_token_renewal,
        helm_binary=arguments.helm_binary,
        repository_addresses=arguments.repository_addresses,
    )
