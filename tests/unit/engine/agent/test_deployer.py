import pytest
from clusternet_engine.agent.deployer import wanted_update
from clusternet_engine.agent.secrets import ServiceAccountToken, child_deployer_secret


def secret(token=b"new"):
    return child_deployer_secret(
        ServiceAccountToken("clusternet-app-deployer", "uid", token, b"ca"),
        namespace="clusternet-x7k2b",
        cluster_id="the-id",
        child_url="https://child",
    )


def test_an_equal_secret_is_left_alone():
    assert wanted_update(secret(), secret()) is None


def test_a_rotated_token_is_written_and_foreign_metadata_stays():
    existing = secret(b"old")
    existing["metadata"] |= {"resourceVersion": "7", "finalizers": ["theirs"]}
    existing["metadata"]["labels"]["team"] = "a"
    update = wanted_update(existing, secret())
    assert update["data"] == secret()["data"]
    assert update["metadata"]["resourceVersion"] == "7"
    assert update["metadata"]["labels"]["team"] == "a"
    assert update["metadata"]["finalizers"] == ["theirs", "apps.clusternet.io/finalizer"]


@pytest.mark.parametrize("annotations", [None, {}, {"clusternet.io/autoupdate": "false"}])
def test_a_secret_somebody_else_keeps_is_not_overwritten(annotations):
    existing = secret(b"old")
    existing["metadata"]["annotations"] = annotations
    assert wanted_update(existing, secret()) is None


def test_a_secret_that_is_being_deleted_gets_no_finalizer_back():
    existing = secret()
    existing["metadata"] |= {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["theirs"]}
    assert wanted_update(existing, secret()) is None
