"""The command `clusternet-agent`: flags (spec/05 §7), start, graceful stop."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from clusternet_engine import flags, logs
from clusternet_engine.agent import settings as rules
from clusternet_engine.agent.agent import Agent
from clusternet_engine.agent.settings import Settings
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.config import ClusterConfig
from clusternet_engine.kube.lease import LeaderElector
from clusternet_engine.model.durations import parse_duration
from clusternet_engine.serving import HealthServer

NAME = "clusternet-agent"
PORT = 10650
STOP_TIMEOUT = 5.0

log = logging.getLogger(__name__)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog=NAME,
        description="Registers this cluster with a parent cluster and reports its status there.",
        allow_abbrev=False,
    )
    flags.add_client_flags(parser)
    flags.add_serving_flags(parser, secure_port=PORT)
    flags.add_leader_election_flags(parser, resource_name=NAME)
    flags.add_common_flags(parser, NAME)
    _add_registration_flags(parser.add_argument_group("registration"))
    _add_status_flags(parser.add_argument_group("status"))
    return parser


def _add_registration_flags(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--cluster-reg-parent-url",
        metavar="URL",
        type=rules.parent_url,
        help="URL of the parent's API server; default: key parentURL of the Secret clusternet-agent-cluster-registration",
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
        action=argparse.BooleanOptionalAction,
        default=False,
        help="do not verify the parent's certificate; whoever sits on the way can then take the cluster over",
    )
    group.add_argument(
        "--cluster-reg-name",
        metavar="NAME",
        type=rules.cluster_name,
        default="",
        help=f"name of the ManagedCluster, at most {rules.CLUSTER_NAME_LIMIT} characters; default: one made from the prefix",
    )
    group.add_argument(
        "--cluster-reg-name-prefix",
        metavar="PREFIX",
        type=rules.cluster_name_prefix,
        default="clusternet-cluster",
        help=f"prefix of made names, at most {rules.NAME_PREFIX_LIMIT} characters (default: %(default)s)",
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
        choices=rules.CLUSTER_TYPES,
        default=rules.CLUSTER_TYPES[0],
        help="type of the cluster (default: %(default)s)",
    )
    group.add_argument(
        "--cluster-sync-mode",
        choices=rules.SYNC_MODES,
        default="Pull",
        help="who deploys to this cluster: the hub (Push), the agent (Pull), or both (default: %(default)s)",
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
        help="labels of the nodes with this prefix are aggregated on the ManagedCluster; may be repeated "
        "(default: node.clusternet.io/)",
    )
    group.add_argument(
        "--labels-aggregate-threshold",
        metavar="SHARE",
        type=rules.share,
        default=0.8,
        help="share of the worker nodes that must have a label's value, 0 to 1 (default: %(default)s)",
    )
    group.add_argument(
        "--cluster-status-collect-frequency",
        metavar="DURATION",
        type=flags.positive_duration,
        default=parse_duration("20s"),
        help="time between two collections of the status (default: 20s)",
    )
    group.add_argument(
        "--cluster-status-update-frequency",
        metavar="DURATION",
        type=flags.positive_duration,
        default=parse_duration("3m"),
        help="time between two heartbeats (default: 3m)",
    )
    group.add_argument(
        "--use-metrics-server",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="report pod counts and resource usage from metrics.k8s.io",
    )
    group.add_argument(
        "--predictor-addr",
        metavar="URL",
        default="",
        help="address of a predictor for this cluster, reported with feature gate Predictor",
    )
    group.add_argument(
        "--predictor-direct-access",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="the parent can reach the predictor without the tunnel",
    )


def settings(argv: Sequence[str] | None = None) -> tuple[argparse.Namespace, Settings]:
    """Parse and check the command line; ends the process with status 2 and the name of a wrong flag."""
    command = parser()
    options = command.parse_args(argv)
    if options.cluster_sync_mode == "Push" and not options.feature_gates.get("AppPusher"):
        command.error("argument --cluster-sync-mode: Push needs --feature-gates AppPusher=true")
    if not options.leader_elect:
        command.error("argument --leader-elect: cannot be false, the Lease is the identity of the cluster")
    return options, Settings(
        system_namespace=options.leader_elect_resource_namespace,
        lease_name=options.leader_elect_resource_name,
        parent_url=options.cluster_reg_parent_url,
        token=options.cluster_reg_token,
        ca_file=options.cluster_reg_ca_file,
        insecure_skip_tls_verify=options.insecure_skip_tls_verify,
        cluster_name=options.cluster_reg_name,
        cluster_name_prefix=options.cluster_reg_name_prefix,
        cluster_namespace=options.cluster_reg_namespace,
        cluster_type=options.cluster_reg_type,
        sync_mode=options.cluster_sync_mode,
        cluster_labels=options.cluster_labels,
        aggregate_prefixes=tuple(options.labels_aggregate_prefix or ("node.clusternet.io/",)),
        aggregate_threshold=options.labels_aggregate_threshold,
        collect_frequency=options.cluster_status_collect_frequency,
        update_frequency=options.cluster_status_update_frequency,
        use_metrics_server=options.use_metrics_server,
        app_pusher=options.feature_gates.get("AppPusher", False),
        predictor=options.feature_gates.get("Predictor", False),
        predictor_address=options.predictor_addr,
        predictor_direct_access=options.predictor_direct_access,
        qps=options.kube_api_qps,
        burst=options.kube_api_burst,
    )
