"""The command `clusternet-gateway`: flags, start, graceful stop."""

from __future__ import annotations

import argparse
import hashlib
import os
import secrets
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from clusternet_engine import logs
from clusternet_engine.certificates import self_signed
from clusternet_engine.flags import ClientFlags, make_parser, port, positive_duration
from clusternet_engine.forwarding import forwarding_session
from clusternet_engine.gateway import settings as rules
from clusternet_engine.gateway.gateway import Gateway
from clusternet_engine.gateway.kubeconfig import check_replaceable
from clusternet_engine.gateway.settings import Settings
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.config import ClusterConfig
from clusternet_engine.kube.connections import network_connector
from clusternet_engine.model import constants as names
from clusternet_engine.model.gateway import Entrance
from clusternet_engine.program import run_program
from clusternet_engine.serving import ServingTLS

LOOPBACK = "127.0.0.1"


def make_gateway_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = make_parser(
        names.GATEWAY,
        "Offers the APIs of a parent's child clusters on this machine, to programs that can't go through the parent "
        "by themselves: kubernetes.core's modules, the Python client, helm, oc. It ends on SIGTERM.",
    )
    ClientFlags.add(parser)
    group = parser.add_argument_group("gateway")
    group.add_argument(
        "--write-kubeconfig",
        type=rules.new_file,
        required=True,
        metavar="FILE",
        help="kubeconfig to write, with a context for each child; FILE.d/NAMESPACE.NAME is one for that child alone; "
        "both are removed when the gateway ends",
    )
    group.add_argument(
        "--bind-port", type=port, default=0, metavar="PORT", help=f"port to listen on at {LOOPBACK}; 0 takes a free one"
    )
    group.add_argument(
        "--idle-timeout",
        type=positive_duration,
        metavar="DURATION",
        help="time without a request after which the gateway ends by itself; default never",
    )
    group = parser.add_argument_group("children")
    group.add_argument(
        "--names", type=rules.cluster_names, default="", metavar="NAME,…", help="clusters with these names; default all"
    )
    group.add_argument(
        "--label-selector", metavar="SELECTOR", help="clusters whose labels match, as for kubectl -l; default all"
    )
    group.add_argument(
        "--namespace", type=rules.namespace, metavar="NAMESPACE", help="the cluster in this namespace; default all"
    )
    group.add_argument(
        "--service-account",
        type=rules.account,
        metavar="NAMESPACE/NAME",
        help="act as this ServiceAccount of the children, by short-lived tokens; default: by the credentials that "
        "their agents have handed to the parent, which may do everything there",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Run the gateway until it is told to stop or nobody has used it for long.

    Ends the process: 0 then, 1 on a failure, 2 on wrong flags.
    """
    given = sys.argv[1:] if argv is None else list(argv)
    arguments = make_gateway_parser().parse_args(given)
    settings = Settings(
        port=arguments.bind_port,
        kubeconfig=arguments.write_kubeconfig,
        idle_timeout=arguments.idle_timeout,
        names=arguments.names,
        namespace=arguments.namespace,
        label_selector=arguments.label_selector,
        account=arguments.service_account,
    )
    logs.setup(arguments.verbosity)
    run_program(_serve(settings, ClientFlags.of(arguments), given))


async def _serve(settings: Settings, access: ClientFlags, arguments: Sequence[str]) -> None:
    check_replaceable(settings.kubeconfig)
    config = ClusterConfig.load(access.kubeconfig, access.context)
    pair = self_signed()
    listener = socket.create_server((LOOPBACK, settings.port))
    entrance = Entrance(
        url=f"https://{LOOPBACK}:{listener.getsockname()[1]}",
        ca=pair.certificate,
        token=secrets.token_urlsafe(32),
        about={
            "pid": os.getpid(),
            "command": [sys.argv[0], *arguments],
            "parent": _digest(access.kubeconfig),
        },
    )
    async with (
        Client(config, qps=access.qps, burst=access.burst, user_agent=names.GATEWAY) as parent,
        forwarding_session(network_connector(0)) as session,
    ):
        gateway = Gateway(parent, session, settings, entrance)
        async with gateway.server(ServingTLS(pair), listener):
            await gateway.run()


def _digest(kubeconfig: Path | None) -> str:
    """Return by what the kubeconfig of the parent can be told from another one."""
    return hashlib.sha256(kubeconfig.read_bytes()).hexdigest() if kubeconfig else ""
