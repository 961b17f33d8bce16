"""The command `clusternet-hub`: start, graceful stop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from clusternet_engine import logs
from clusternet_engine.flags import ClientFlags, LeaderElectionFlags, ServingFlags
from clusternet_engine.hub.api.server import ApiServer
from clusternet_engine.hub.arguments import make_hub_parser, parse
from clusternet_engine.hub.hub import Hub
from clusternet_engine.hub.peers import Peers
from clusternet_engine.hub.settings import PeerSettings, Settings
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.config import ClusterConfig
from clusternet_engine.model import constants as names
from clusternet_engine.model import features
from clusternet_engine.program import health_server, leader_elector, run_program, serving_tls


def main(argv: Sequence[str] | None = None) -> None:
    """Run the hub until it is told to stop.

    Ends the process: 0 after SIGTERM or SIGINT, 1 on a failure that a restart may cure, 2 on wrong flags.
    """
    arguments = parse(make_hub_parser(), argv)
    logs.setup(arguments.verbosity)
    run_program(_serve(arguments.settings, arguments.access, arguments.serving, arguments.election, arguments.peering))


async def _serve(
    settings: Settings,
    access: ClientFlags,
    serving: ServingFlags,
    election: LeaderElectionFlags,
    peering: PeerSettings,
) -> None:
    config = ClusterConfig.load(access.kubeconfig, access.context)
    async with Client(config, qps=access.qps, burst=access.burst, user_agent=names.HUB) as client:
        hub = Hub(client, settings)
        tls = serving_tls(serving)
        api = None
        if serving.secure_port and any(map(settings.enabled, (features.SHADOW_API, features.SOCKET_CONNECTION))):
            own_certificate = serving.tls_cert_file is None
            api = ApiServer(client, hub.caches, settings, tls, hub.tunnels, own_certificate=own_certificate)
        peers = None
        if api and election.enabled and settings.enabled(features.SOCKET_CONNECTION):
            peers = Peers(client, hub.tunnels, peering, election)
        checks = {"informers": hub.caches.check, **(api.checks if api else {})}
        async with (
            health_server(
                serving,
                checks,
                client=client,
                tls=tls,
                handler=api.handle if api else None,
                recognizes=api.recognizes if api else None,
            ),
            peers.listening() if peers else contextlib.nullcontext(),
            asyncio.TaskGroup() as tasks,
        ):
            tasks.create_task(hub.caches.run(), name="caches")
            if api:
                tasks.create_task(api.run(), name="API")
            if peers:
                tasks.create_task(peers.run(), name="peers")
            if election.enabled:
                tasks.create_task(leader_elector(client, election).run(hub.lead), name="leader election")
            else:
                tasks.create_task(hub.lead(), name="controllers")
