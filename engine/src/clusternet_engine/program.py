"""What the hub and the agent have in common as programs: health, leader election, an end by signal."""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import resource
import signal
import sys
from collections.abc import Coroutine, Mapping
from typing import NoReturn

from clusternet_engine.allocation import memory_given_back
from clusternet_engine.flags import LeaderElectionFlags, ServingFlags
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.config import ConfigError
from clusternet_engine.kube.holders import own_identity
from clusternet_engine.kube.lease import LeaderElector
from clusternet_engine.listening import Recognizes
from clusternet_engine.metrics_access import MetricsAccess
from clusternet_engine.serving import Check, Handler, HealthServer, ServingTLS
from clusternet_engine.watchdog import watched_loop

STOP_TIMEOUT = 5.0
"""Seconds a graceful stop may take."""
SWITCH_INTERVAL = 0.0005
"""Seconds for which a thread may go on that reads foreign text while the event loop has something to do."""
MAX_DESCRIPTORS = 2**20
"""File descriptors that are asked for at most."""

log = logging.getLogger(__name__)


def serving_tls(serving: ServingFlags) -> ServingTLS:
    """Return the certificate that the flags name, or a self-signed one.

    Raises:
        OSError: a file can't be read, is not PEM, or the files do not belong together.
    """
    if serving.tls_cert_file is None or serving.tls_private_key_file is None:
        return ServingTLS()
    return ServingTLS.of_files(serving.tls_cert_file, serving.tls_private_key_file)


def health_server(
    serving: ServingFlags,
    checks: Mapping[str, Check],
    *,
    client: Client,
    readiness_checks: Mapping[str, Check] | None = None,
    tls: ServingTLS | None = None,
    handler: Handler | None = None,
    recognizes: Recognizes | None = None,
) -> HealthServer:
    """Return the server of health and metrics that the flags describe.

    Args:
        checks: decide on health and readiness.
        client: of the cluster that says who may read the metrics.
        readiness_checks: decide on readiness, beside the others.
        tls: to serve with; None means what the flags say.
        handler: answers every other path.
        recognizes: judges verified client certificates; None means that each is somebody's.
    """
    return HealthServer(
        serving.bind_address,
        serving.secure_port,
        checks,
        readiness_checks=readiness_checks,
        tls=tls or serving_tls(serving),
        handler=handler,
        access=MetricsAccess(client).check,
        always_allowed=serving.always_allowed,
        recognizes=recognizes,
    )


def leader_elector(client: Client, election: LeaderElectionFlags) -> LeaderElector:
    """Return the elector that the flags describe; every process has an identity of its own."""
    return LeaderElector(
        client,
        election.namespace,
        election.name,
        own_identity(),
        lease_duration=election.lease_duration,
        renew_deadline=election.renew_deadline,
        retry_period=election.retry_period,
    )


def run_program(work: Coroutine[None, None, None]) -> NoReturn:
    """Do the work as :func:`run_until_stopped` does, then end the process with its exit code."""
    faulthandler.enable(all_threads=False)
    sys.setswitchinterval(SWITCH_INTERVAL)
    raise_descriptor_limit()
    sys.exit(asyncio.run(_watched(work)))


async def _watched(work: Coroutine[None, None, None]) -> int:
    async with watched_loop(), memory_given_back():
        return await run_until_stopped(work)


def raise_descriptor_limit() -> int:
    """Let this process have as many files and connections open as it may at most; return that number.

    Each tunnel takes one, and most systems begin with 1,024.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MAX_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (OSError, ValueError) as error:
            log.warning("the limit of open files and connections stays %d instead of %d: %s", soft, wanted, error)
            return soft
    log.info("at most %d files and connections may be open", wanted)
    return wanted


def _causes(failure: BaseException) -> list[BaseException]:
    """Return the failures of tasks that failed together, or the one of a work without tasks."""
    if isinstance(failure, BaseExceptionGroup):
        return [cause for one in failure.exceptions for cause in _causes(one)]
    return [failure]


async def run_until_stopped(work: Coroutine[None, None, None]) -> int:
    """Do the work until it is done or SIGTERM or SIGINT comes; return the exit code: 0 then, 1 after a failure.

    A failure that its user has to mend (configuration, certificates, addresses, files) is logged as one line. A work
    that doesn't end within `STOP_TIMEOUT` after the signal is abandoned and the process ends with 1.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    working = asyncio.create_task(work)
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if working.done():
        failure = working.exception()
        if failure is None:
            return 0
        causes = _causes(failure)
        if all(isinstance(cause, ConfigError | OSError) for cause in causes):
            for cause in causes:
                log.error("%s", cause)
        else:
            log.error("the work has failed", exc_info=failure)
        return 1
    log.info("stopping")
    working.cancel()
    done, _ = await asyncio.wait((working,), timeout=STOP_TIMEOUT)
    if not done:
        log.error("not stopped within %g s", STOP_TIMEOUT)
        os._exit(1)
    if not working.cancelled() and (error := working.exception()) is not None:
        log.error("failed while stopping", exc_info=error)
        return 1
    return 0
