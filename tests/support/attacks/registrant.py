"""Attacks by somebody who holds a bootstrap token, as everybody does who has set up one agent."""

import base64
import json
import uuid
from typing import Any

from attacks.child import APPLY, MERGE, nested
from attacks.ground import Ground, claims, wait
from attacks.honest import registration, status_of, unregister
from attacks.listing import attack
from attacks.paths import APPS, CLUSTERS, CORE, REQUESTS, SHADOW, SOCKETS, within


def hostile_spec(**fields: Any) -> dict[str, Any]:
    """Return the spec of a request of a cluster that nobody has seen before."""
    identity = str(uuid.uuid4())
    return {
        "clusterId": identity,
        "clusterName": f"b-{identity[:8]}",
        "clusterType": "EdgeCluster",
        "syncMode": "Pull",
        **fields,
    }


@attack("registrant", "reads the request of a registered cluster, which its credential may stand in")
def reads_others_requests(ground: Ground) -> None:
    token = ground.admin.get(f"{REQUESTS}/clusternet-{ground.victim.id}").get("status", {}).get("token", "")
    for path in (
        f"{REQUESTS}/clusternet-{ground.victim.id}",
        f"{REQUESTS}/clusternet-{ground.victim.id}/status",
        REQUESTS,
        f"{REQUESTS}?fieldSelector=metadata.name%3Dclusternet-{ground.victim.id}",
        f"{REQUESTS}?watch=true&timeoutSeconds=1",
    ):
        answer = ground.registrant("GET", path)
        assert answer.status in (403, 404), (path, answer)
        assert not token or token not in answer.text
    own = [f"{REQUESTS}/clusternet-{child.id}" for child in ground.children]
    for path in own:
        answer = ground.registrant("GET", path)
        assert answer.status == 403 or not status_of(answer.body).get("token"), (
            "a request that is settled still shows its credential"
        )


@attack("registrant", "changes, answers or removes requests, and everything else that may only be read or posted")
def changes_requests(ground: Ground) -> None:
    other = f"{REQUESTS}/clusternet-{ground.victim.id}"
    approved = {"status": {"result": "Approved", "dedicatedNamespace": "kube-system"}}
    for method, path, body, kind in (
        ("PUT", other, {}, "application/json"),
        ("PATCH", other, {"spec": {"clusterName": "x"}}, MERGE),
        ("PATCH", f"{other}?fieldManager=x&force=true", {"metadata": {"name": "x"}}, APPLY),
        ("PATCH", f"{other}/status", approved, MERGE),
        ("DELETE", other, None, ""),
        ("DELETE", REQUESTS, None, ""),
        ("GET", f"{CLUSTERS}/managedclusters", None, ""),
        ("POST", within(CLUSTERS, "default", "managedclusters"), {}, "application/json"),
        ("GET", f"{CORE}/secrets", None, ""),
        ("GET", f"{CORE}/namespaces", None, ""),
        ("GET", f"{APPS}/subscriptions", None, ""),
        ("POST", within(APPS, "default", "subscriptions"), {}, "application/json"),
        ("POST", within(SHADOW, "default", "configmaps"), {}, "application/json"),
        ("GET", f"{SOCKETS}/{ground.victim.id}", None, ""),
        ("GET", f"{SOCKETS}/{ground.victim.id}/proxy/direct/version", None, ""),
    ):
        answer = ground.registrant(method, path, body, content_type=kind or "application/json")
        assert answer.status in (401, 403), (method, path, answer)


@attack("registrant", "registers with the identity, the name or the namespace of somebody else")
def takes_identities(ground: Ground) -> None:
    victim = ground.victim
    before = ground.admin.get(victim.managed_cluster)
    made = []
    for name, spec in (
        (f"clusternet-{uuid.uuid4()}", hostile_spec(clusterId=victim.id)),
        ("clusternet-x", hostile_spec(clusterId=victim.id, clusterName=victim.name)),
        (None, hostile_spec(clusterName=victim.name, clusterNamespace=victim.namespace)),
        (None, hostile_spec(clusterNamespace="kube-system")),
        (None, hostile_spec(clusterNamespace="clusternet-system")),
        (None, hostile_spec(clusterNamespace="clusternet-reserved")),
        (None, hostile_spec(clusterNamespace="default")),
        (None, hostile_spec(clusterName="../x")),
        (None, hostile_spec(clusterLabels={"clusters.clusternet.io/cluster-id": victim.id})),
        (None, hostile_spec(clusterLabels={"clusternet.io/created-by": "x"})),
        (None, hostile_spec(clusterId="x" * 200)),
        (None, hostile_spec(clusterId="../" + victim.id)),
    ):
        body = registration(name or f"clusternet-{spec['clusterId'][:60]}", **spec)
        body["status"] = {"result": "Approved", "dedicatedNamespace": victim.namespace, "token": "eA=="}
        answer = ground.registrant("POST", REQUESTS, body)
        if answer.status == 201:
            made.append((body["metadata"]["name"], spec))
    ground.honest.passes()
    for name, spec in made:
        status = status_of(ground.admin.get(f"{REQUESTS}/{name}"))
        if token := status.get("token"):
            subject = claims(base64.b64decode(token).decode())["sub"]
            assert subject.split(":")[2] not in (victim.namespace, "kube-system", "clusternet-system", "default"), name
            assert spec["clusterId"] != victim.id, f"{name} has got a credential of cluster {victim.id}"
        assert status.get("dedicatedNamespace") not in (victim.namespace, "kube-system", "default"), (name, status)
        unregister(ground.admin, name)
    now = ground.admin.get(victim.managed_cluster)
    assert now["metadata"]["uid"] == before["metadata"]["uid"]
    assert now["metadata"]["labels"] == before["metadata"]["labels"]


@attack("registrant", "posts requests of every malformed kind, and a hundred of them")
def posts_malformed_requests(ground: Ground) -> None:
    made = []
    for index in range(40):
        spec: dict[str, Any] = hostile_spec()
        spec |= (
            {"clusterLabels": {f"k{n}": "v" for n in range(2000)}},
            {"clusterLabels": {"a/b/c": "d"}},
            {"clusterName": "-"},
            {"clusterNamespace": "UPPER"},
            {"clusterType": "Nonsense"},
            {"syncMode": ""},
        )[index % 6]
        answer = ground.registrant("POST", REQUESTS, registration(f"clusternet-{spec['clusterId']}", **spec))
        assert answer.status < 500, answer
        if answer.status == 201:
            made.append(f"clusternet-{spec['clusterId']}")
    for body in (
        nested(2000),
        "[]",
        "null",
        json.dumps(registration("x", clusterLabels="@")).replace('"@"', nested(2000)),
    ):
        assert ground.registrant("POST", REQUESTS, body).status < 500
    ground.honest.passes(1)
    for name in made:
        unregister(ground.admin, name)


@attack("registrant", "reads again what its own request was answered, after the cluster has reported")
def reads_its_answer_late(ground: Ground) -> None:
    child = ground.children[0]
    path = f"{REQUESTS}/clusternet-{child.id}"

    def emptied() -> bool:
        return not status_of(ground.admin.get(path)).get("token")

    wait(emptied, "the token leaves the status of a request whose cluster has reported")
