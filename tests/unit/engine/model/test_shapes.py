"""Objects that Clusternet's API lets through without a spec."""

import pytest
from clusternet_engine.model.shapes import complete


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("Base", {"feeds": []}),
        ("FeedInventory", {"feeds": []}),
        ("ManagedCluster", {"clusterId": "", "syncMode": ""}),
        ("ClusterRegistrationRequest", {"clusterId": ""}),
    ],
)
def test_an_object_without_a_spec_gets_an_empty_one(kind: str, spec: dict) -> None:
    obj = {"kind": kind, "metadata": {"name": "a"}}
    complete(obj)
    assert obj["spec"] == spec
    there = {"kind": kind, "spec": {**dict.fromkeys(spec, "kept"), "more": 1}}
    complete(there)
    assert there["spec"] == {**dict.fromkeys(spec, "kept"), "more": 1}


def test_other_kinds_stay_as_they_are() -> None:
    obj = {"kind": "Namespace", "metadata": {"name": "a"}}
    complete(obj)
    assert obj == {"kind": "Namespace", "metadata": {"name": "a"}}
