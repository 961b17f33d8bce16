"""The command `clusternet-agent`: start, graceful stop."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from clusternet_engine import logs
from clusternet_engine.agent.agent import Agent
from clusternet_engine.agent.arguments import make_agent_parser, parse
from clusternet_engine.agent.settings import Settings
from clusternet_engine.flags import ClientFlags, LeaderElectionFlags, ServingFlags, version
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.config import ClusterConfig
from clusternet_engine.model import constants as names
from clusternet_engine.model import features
from clusternet_engine.program import health_server, leader_elector, run_program

_UNUSED_GATES = (features.MULTI_CLUSTER_SERVICE,)
"""Gates of Clusternet's agent that stand for things this agent does not do."""

log = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the agent until it is told to stop.

    Ends the process: 0 after SIGTERM or SIGINT, 1 on a failure that a restart may cure, 2 on wrong flags.
    """
    arguments = parse(make_agent_parser(), argv)
    logs.setup(arguments.verbosity)
    for gate in _UNUSED_GATES:
        if features.enabled(arguments.gates, gate):
            log.warning("feature gate %s has no effect: this agent does not do that", gate)
    if arguments.settings.insecure_skip_tls_verify:
        log.warning("the certificate of the parent is not verified: --insecure-skip-tls-verify was asked for")
    run_program(_serve(arguments.settings, arguments.access, arguments.serving, arguments.election))


async def _serve(settings: Settings, access: ClientFlags, serving: ServingFlags, election: LeaderElectionFlags) -> None:
    config = ClusterConfig.load(access.kubeconfig, access.context)
    async with Client(config, qps=access.qps, burst=access.burst, user_agent=names.AGENT) as child:
        agent = Agent(child, config.server, settings, version())
        elector = leader_elector(child, election)
        ready = agent.readiness.checks(lambda: elector.leading, lambda: elector.standing_by)
        async with health_server(serving, {}, client=child, readiness_checks=ready):
            await elector.run(agent.lead)
