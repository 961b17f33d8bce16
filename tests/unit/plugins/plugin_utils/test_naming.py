"""Every cluster is a host of its own."""

from collections.abc import Sequence

import pytest
from ansible_collections.clusternet.core.plugins.plugin_utils.naming import host_names
from hypothesis import given
from hypothesis import strategies as st

label = st.sampled_from(["a", "b", "n1", "n2"])
name = st.lists(label, min_size=1, max_size=4).map(".".join)
fleets = st.lists(st.tuples(name, label, name | st.none()), max_size=12, unique_by=lambda item: item[:2])
"""Clusters by name and namespace, and the host name that is wanted for each; none is the cluster's own."""


def hosts(fleet: Sequence[tuple[str, str, str | None]], groups: Sequence[str] = ()) -> list[str]:
    clusters = [{"name": name, "namespace": namespace} for name, namespace, _ in fleet]
    return host_names([wanted or name for name, _, wanted in fleet], clusters, groups)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fleet", "names"),
    [
        ([("a", "n1"), ("b", "n1")], ["a", "b"]),
        ([("a", "n1"), ("a", "n2")], ["a.n1", "a.n2"]),
        ([("a", "n1"), ("a", "n2"), ("a.n1", "n3")], ["a.n1.a.n1", "a.n2", "a.n1.n3"]),
        ([("group", "n1")], ["group.n1"]),
    ],
)
def test_names_get_longer_as_far_as_they_must(fleet: list[tuple[str, str]], names: list[str]) -> None:
    assert hosts([(*cluster, None) for cluster in fleet], ["group"]) == names


@given(fleets, st.data())
def test_as_many_names_as_clusters_whatever_their_order(fleet: list, data: st.DataObject) -> None:
    groups = ["b", "a.n1"]
    names = hosts(fleet, groups)
    assert len(set(names)) == len(fleet)
    assert not set(names) & set(groups)
    shuffled = data.draw(st.permutations(fleet))
    assert dict(zip(shuffled, hosts(shuffled, groups), strict=True)) == dict(zip(fleet, names, strict=True))
