"""Approving while the cache of requests is older than others, as after a watch that was cut (spec/02 §6)."""

import asyncio
from collections.abc import Callable

import pytest
from clusternet_engine.hub.approver import Approver
from clusternet_engine.hub.caches import Caches
from clusternet_engine.hub.settings import RegistrationSettings
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.events import EventRecorder
from clusternet_engine.kube.resources import CLUSTER_REGISTRATION_REQUESTS, CLUSTER_ROLES
from clusternet_engine.model.rbac import ChildRights
from hub_site import SYSTEM, Applicant, eventually


@pytest.mark.usefixtures("hub_kubeconfig")
@pytest.mark.parametrize("denied", [True, False], ids=["denied", "removed"])
async def test_a_cluster_that_is_out_gets_nothing_back(
    parent: Client, applicant: Callable[..., Applicant], denied: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Only the cache of requests has missed the administrator's decision; what they took away stays away."""
    caplog.set_level("INFO")
    caches = Caches(parent, reserved_namespace="clusternet-reserved")
    approver = Approver(
        parent,
        caches,
        EventRecorder(parent, "test"),
        workers=2,
        reserved_namespaces=frozenset({SYSTEM}),
        initialization=False,
        child_rights=ChildRights.AGENT,
        system_namespace=SYSTEM,
        settings=RegistrationSettings(),
    )
    one = applicant()
    await one.ask()
    async with asyncio.TaskGroup() as tasks:
        watching = tasks.create_task(caches.run())
        await caches.wait_synced()
        working = tasks.create_task(approver.run())
        await one.approved()
        await eventually(lambda: known(caches, one), why="the caches know the role and the approval")
        watching.cancel()
        await asyncio.wait([watching])
        if denied:
            request = {**await one.request(), "status": {"result": "Denied", "errorMessage": "not one of ours"}}
            await parent.update(CLUSTER_REGISTRATION_REQUESTS, request, subresource="status")
        else:
            await parent.delete(CLUSTER_REGISTRATION_REQUESTS, one.request_name)
        watching_roles = tasks.create_task(caches.cluster_roles.run())
        await parent.delete(CLUSTER_ROLES, one.request_name)
        await eventually(lambda: told(caplog, one), why="the approver has met the outdated request")
        assert await one.all_of(CLUSTER_ROLES) == []
        for task in (working, watching_roles):
            task.cancel()


async def known(caches: Caches, one: Applicant) -> bool:
    """Return whether the caches are as far as the approval."""
    request = caches.requests.get(one.request_name) or {}
    return bool(request.get("status", {}).get("result") and caches.cluster_roles.get(one.request_name))


async def told(caplog: pytest.LogCaptureFixture, one: Applicant) -> bool:
    """Return whether the controller has put the request off."""
    return any(f"{one.request_name}: changed meanwhile" in message for message in caplog.messages)
