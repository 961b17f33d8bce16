"""Every attack is refused or has no effect, and the rest of the fleet notices nothing.

Who attacks: a child with nothing but its credential, users with rights in one namespace, the holder of a bootstrap
token, and a stranger at the hub's port. The attacks and what they try stand in tests/support/attacks.
"""

import asyncio
import json

import pytest
from attacks import child, registrant, stranger, user  # noqa: F401 - they list their attacks
from attacks.ground import Ground
from attacks.listing import ATTACKS, Attack

pytestmark = pytest.mark.asyncio(loop_scope="module")
SLOWEST = 10.0
"""Seconds that something honest may take, on a machine that others use too."""
GROWTH = 256.0
"""MiB by which the hub may grow in one attack: TLS takes half a MiB for each of several hundred open connections."""


@pytest.mark.timeout(300)
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda one: f"{one.who}-{one.name}")
async def test_attack(battlefield: Ground, attack: Attack) -> None:
    before = battlefield.memory()
    await asyncio.to_thread(attack.run, battlefield)
    await asyncio.to_thread(battlefield.honest.passes, 1)
    battlefield.honest.check()
    notes = battlefield.honest.notes
    assert max(notes.published) < SLOWEST, "an honest user has noticed"
    assert battlefield.hub.process.poll() is None, battlefield.hub.log[-3000:]
    assert battlefield.memory() - before < GROWTH


async def test_nobody_honest_was_refused_anything(battlefield: Ground) -> None:
    """The hub and the honest agent have exactly the rights that they need: the API server never answered them 403."""
    names = {
        "system:serviceaccount:clusternet-system:clusternet-hub",
        f"system:serviceaccount:{battlefield.victim.namespace}:{battlefield.victim.account}",
    }
    refused = set()
    for line in battlefield.parent.audit_log.read_bytes()[battlefield.audited :].splitlines():
        event = json.loads(line)
        if event["user"].get("username") in names and event.get("responseStatus", {}).get("code") == 403:
            refused.add(f"{event['user']['username']}: {event['verb']} {event['requestURI']}")
    assert refused == set()
    assert "Traceback" not in battlefield.hub.log
