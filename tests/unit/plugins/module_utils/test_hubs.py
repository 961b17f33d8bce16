"""Which hubs run is judged by who renews a Lease, not by clocks."""

import json
from typing import Any

import pytest
from ansible_collections.clusternet.core.plugins.module_utils import hubs


def lease(name: str, holder: str, renewed: int, duration: float = 15) -> dict[str, Any]:
    return {
        "metadata": {"name": name},
        "spec": {"holderIdentity": holder, "renewTime": renewed, "leaseDurationSeconds": duration},
    }


def peer(identity: str, renewed: int, **more: Any) -> dict[str, Any]:
    holder = json.dumps({"identity": identity, "id": identity, "token": "secret"})
    return lease(f"clusternet-hub-peer-{identity}", holder, renewed, **more)


class Cluster:
    """Shows the Leases of one look after the other; the last ones stay."""

    def __init__(self, *looks: list[dict[str, Any]]) -> None:
        self.looks = list(looks)

    def list(self, _path: str) -> list[dict[str, Any]]:
        return self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hubs, "_PAUSE", 0.001)


def running(*looks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return everybody(*looks)["hubs"]


def everybody(*looks: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    return hubs.running(Cluster(*looks), "clusternet-system")


def test_no_leases_no_hubs() -> None:
    assert running([]) == []
    assert (
        running([lease("clusternet-agent", "edge", 1), lease("clusternet-hub", "", 1), peer("x", 1) | {"spec": {}}])
        == []
    )


def test_a_hub_that_renews_runs_and_counts_once() -> None:
    first = [lease("clusternet-hub", "a", 1), peer("a", 1), peer("b", 1)]
    later = [lease("clusternet-hub", "a", 2), peer("a", 2), peer("b", 2)]
    assert running(first, first, later) == [{"identity": "a", "leads": True}, {"identity": "b", "leads": False}]


def test_a_hub_that_was_killed_or_leaves_does_not_run() -> None:
    first = [lease("clusternet-hub", "a", 1, 0.01), peer("b", 1)]
    assert running(first, [lease("clusternet-hub", "a", 1, 0.01)]) == []


def test_a_hub_that_takes_over_runs() -> None:
    assert running([lease("clusternet-hub", "a", 1)], [lease("clusternet-hub", "b", 2)]) == [
        {"identity": "b", "leads": True}
    ]


@pytest.mark.parametrize("holder", ["no JSON", "[]", "{}"])
def test_a_peer_that_does_not_tell_who_it_is(holder: str) -> None:
    name = "clusternet-hub-peer-x"
    assert running([lease(name, holder, 1)], [lease(name, holder, 2)]) == [{"identity": name, "leads": False}]


def test_clusternets_own_programs_have_leases_of_their_own() -> None:
    def look(renewed: int) -> list[dict[str, Any]]:
        return [
            lease("clusternet-controller-manager", "cm-1_a", renewed),
            lease("clusternet-scheduler", "scheduler-1_b", renewed),
            lease("clusternet-agent", "agent-1_c", renewed),
            peer("hub-1_d", renewed),
        ]

    assert everybody(look(1), look(2)) == {
        "hubs": [{"identity": "hub-1_d", "leads": False}],
        "controller_managers": [{"identity": "cm-1_a", "leads": True}],
        "schedulers": [{"identity": "scheduler-1_b", "leads": True}],
    }


def test_programs_that_were_killed_or_stopped_are_not_shown() -> None:
    look = [lease("clusternet-controller-manager", "cm-1_a", 1, 0.01), lease("clusternet-scheduler", "", 1)]
    assert everybody(look) == {"hubs": [], "controller_managers": [], "schedulers": []}


def test_a_hub_leads_by_the_lease_of_the_controller_manager_too() -> None:
    def look(renewed: int) -> list[dict[str, Any]]:
        return [lease("clusternet-controller-manager", "a", renewed), peer("a", renewed), peer("b", renewed)]

    assert everybody(look(1), look(2)) == {
        "hubs": [{"identity": "a", "leads": True}, {"identity": "b", "leads": False}],
        "controller_managers": [{"identity": "a", "leads": True}],
        "schedulers": [],
    }
