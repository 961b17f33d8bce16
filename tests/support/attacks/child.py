"""Attacks by a child with nothing but the credential that its registration gave it."""

import base64
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from attacks.ground import PLANTED, PULL_PASSWORD, Child, Ground, forget, module_environment, wait
from attacks.honest import status_of
from attacks.listener import SECRET_ANSWER
from attacks.listing import attack
from attacks.paths import APPS, CLUSTERS, CORE, RBAC, REQUESTS, RESERVED, SHADOW, SOCKETS, within

MERGE, JSON_PATCH, APPLY, STRATEGIC = (
    "application/merge-patch+json",
    "application/json-patch+json",
    "application/apply-patch+yaml",
    "application/strategic-merge-patch+json",
)
_API_VERSION = "apps.clusternet.io/v1alpha1"
READABLE = {"bases", "descriptions", "helmreleases", "managedclusters"}
"""Kinds that an agent lists in its dedicated namespace."""
WRITABLE = {
    ("PUT", "descriptions"),
    ("PATCH", "descriptions"),
    ("PUT", "helmreleases"),
    ("PATCH", "helmreleases"),
    ("POST", "secrets"),
    ("POST", "events"),
    ("PATCH", "events"),
}
"""What an agent writes in its dedicated namespace, whatever the name of the object."""
_FOR_EVERYBODY = {"authorization.k8s.io", "authentication.k8s.io"}
"""API groups in which everybody may ask about themselves."""


def both(run: Any) -> Any:
    """Let an attack be tried by each hostile child."""

    def tried(ground: Ground) -> None:
        for child in ground.children:
            run(ground, child)

    tried.__name__ = run.__name__
    return tried


def made_for(ground: Ground, child: Child) -> set[str]:
    """Return all that the hub has made in other dedicated namespaces because of something in a child's namespace."""
    found = set()
    for plural in ("bases", "descriptions", "helmreleases"):
        for obj in ground.admin.items(f"{APPS}/{plural}"):
            labels = obj["metadata"].get("labels") or {}
            if labels.get("apps.clusternet.io/subs.namespace") == child.namespace:
                found.add(f"{plural}/{obj['metadata']['namespace']}/{obj['metadata']['name']}")
    return found


def subscription(name: str, child: Child, chart: str) -> dict[str, Any]:
    """Return a Subscription that publishes a chart to every cluster there is."""
    feed = {"apiVersion": _API_VERSION, "kind": "HelmChart", "name": chart, "namespace": child.namespace}
    return {
        "apiVersion": _API_VERSION,
        "kind": "Subscription",
        "metadata": {"name": name, "namespace": child.namespace},
        "spec": {"subscribers": [{"clusterAffinity": {"matchExpressions": []}}], "feeds": [feed]},
    }


def chart(name: str, child: Child, repo: str, **spec: Any) -> dict[str, Any]:
    """Return a HelmChart."""
    return {
        "apiVersion": _API_VERSION,
        "kind": "HelmChart",
        "metadata": {"name": name, "namespace": child.namespace},
        "spec": {"repo": repo, "chart": "takeover", "version": "1.0.0", "targetNamespace": "kube-system", **spec},
    }


@attack("child", "publishes a chart of its own to every cluster")
@both
def owns_the_fleet(ground: Ground, child: Child) -> None:
    before = len(ground.repository.requests)
    wanted = chart("takeover", child, f"{ground.repository.url}/charts"), subscription("takeover", child, "takeover")
    for plural, body in zip(("helmcharts", "subscriptions"), wanted, strict=True):
        path = child.path(APPS, plural)
        generated = {**body, "metadata": {"generateName": "takeover-", "namespace": child.namespace}}
        child.tries("POST", path, generated)
        child.tries("POST", f"{path}?dryRun=All", body)
        child.tries("PATCH", f"{path}/takeover?fieldManager=x&force=true", body, content_type=APPLY)
        child.tries("POST", path, body)
    ground.honest.passes()
    assert made_for(ground, child) == set()
    assert len(ground.repository.requests) == before, ground.repository.requests[before:]
    ground.admin("DELETE", child.path(APPS, "subscriptions"))
    ground.admin("DELETE", child.path(APPS, "helmcharts"))


@attack("child", "publishes natively: Manifests, Localizations and Globalizations, here and in the reserved namespace")
@both
def writes_wishes(ground: Ground, child: Child) -> None:
    template = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "owned"}}
    manifest = {"apiVersion": _API_VERSION, "kind": "Manifest", "metadata": {"name": "x"}, "template": template}
    answer = child.ask("POST", within(APPS, RESERVED, "manifests"), manifest)
    assert answer.status == 403, answer
    override = {"name": "x", "type": "MergePatch", "value": json.dumps({"data": {"value": "forged"}})}
    feed = {"apiVersion": "v1", "kind": "ConfigMap", "name": "honest", "namespace": "default"}
    spec = {"overridePolicy": "ApplyNow", "feed": feed, "overrides": [override]}
    answer = child.ask(
        "POST",
        f"{APPS}/globalizations",
        {"apiVersion": _API_VERSION, "kind": "Globalization", "metadata": {"name": "x"}, "spec": spec},
    )
    assert answer.status == 403, answer
    localization = {"apiVersion": _API_VERSION, "kind": "Localization", "metadata": {"name": "x"}, "spec": spec}
    answer = child.ask("POST", within(APPS, ground.victim.namespace, "localizations"), localization)
    assert answer.status == 403, answer
    child.tries("POST", child.path(APPS, "localizations"), localization)
    ground.admin("DELETE", child.path(APPS, "localizations", "x"))


def nowhere_readable(ground: Ground, child: Child) -> None:
    """Make sure that the planted Secret stands nowhere in a child's namespace."""
    shapes = (PLANTED, base64.b64encode(PLANTED.encode()).decode(), PULL_PASSWORD)
    for group, plural in ((APPS, "bases"), (APPS, "descriptions"), (APPS, "helmreleases"), (CORE, "secrets")):
        for obj in ground.admin.items(child.path(group, plural)):
            text = json.dumps(obj)
            texts = [text, *(_decoded(part) for part in obj.get("spec", {}).get("raw") or ())]
            assert not any(shape in one for one in texts for shape in shapes), f"{plural} {obj['metadata']['name']}"


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text).decode(errors="replace")
    except ValueError:
        return ""


@attack("child", "reads what is published to others by a Base of its own, or by changing one of the hub's")
@both
def peeks(ground: Ground, child: Child) -> None:
    feed = {"apiVersion": "v1", "kind": "Secret", "name": "planted"}
    name = ground.description(child)["metadata"]["name"].removesuffix("-generic")
    base = ground.admin.get(child.path(APPS, "bases", name))
    labels, owner = base["metadata"]["labels"], {"apiVersion": _API_VERSION, "kind": "Base", "name": "x", "uid": "x"}
    for name, feeds, metadata in (
        ("peek", [feed], {}),
        ("peek-there", [{**feed, "namespace": "default"}], {}),
        ("peek-labelled", [feed], {"labels": labels}),
        ("peek-owned", [feed], {"labels": labels, "ownerReferences": [owner]}),
        ("peek-annotated", [feed], {"labels": labels, "annotations": base["metadata"].get("annotations") or {}}),
    ):
        body = {"apiVersion": _API_VERSION, "kind": "Base", "metadata": {"name": name, **metadata}}
        child.tries("POST", child.path(APPS, "bases"), {**body, "spec": {"feeds": feeds}})
    own = child.path(APPS, "bases", base["metadata"]["name"])
    child.tries("PATCH", own, {"spec": {"feeds": [feed]}}, content_type=MERGE)
    add = [{"op": "add", "path": "/spec/feeds/-", "value": feed}]
    child.tries("PATCH", own, add, content_type=JSON_PATCH)
    current = ground.admin.get(own)
    child.tries("PUT", own, {**current, "spec": {"feeds": [*base["spec"]["feeds"], feed]}})
    for chart_feed in ("helmcharts", "manifests"):
        child.tries("GET", child.path(APPS, chart_feed))
    ground.honest.passes()
    nowhere_readable(ground, child)
    for name in ("peek", "peek-there", "peek-labelled", "peek-owned", "peek-annotated"):
        ground.admin("DELETE", child.path(APPS, "bases", name))


@attack("child", "writes into its Descriptions what isn't published to it")
@both
def rewrites_descriptions(ground: Ground, child: Child) -> None:
    description = ground.description(child)
    path = child.path(APPS, "descriptions", description["metadata"]["name"])
    own = base64.b64encode(json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x"}}).encode())
    for raw in ([], ["not base64 at all"], [own.decode()], [base64.b64encode(b"[" * 3000).decode()]):
        child.ask("PATCH", path, {"spec": {"raw": raw}}, content_type=MERGE)
        child.ask("PATCH", path, {"spec": {"deployer": "Helm", "charts": []}}, content_type=MERGE)
    ground.honest.passes()
    nowhere_readable(ground, child)
    expected = description["spec"]["raw"]
    wait(lambda: ground.admin.get(path)["spec"].get("raw") == expected, "the hub puts its Description right again")


@attack("child", "makes the hub send a credential of somebody else to a repository of its own")
@both
def borrows_pull_secrets(ground: Ground, child: Child) -> None:
    before = len(ground.repository.requests)
    for index, secret in enumerate(
        (
            "ops/postgres",
            f"{ground.victim.namespace}/child-cluster-deployer",
            "clusternet-system/clusternet-hub",
            "kube-system/nope",
        )
    ):
        namespace, _, name = secret.partition("/")
        body = chart(
            f"borrow-{index}",
            child,
            f"{ground.repository.url}/borrow",
            chartPullSecret={"namespace": namespace, "name": name},
        )
        child.tries("POST", child.path(APPS, "helmcharts"), body)
    ground.honest.passes()
    assert not [one for one in ground.repository.requests[before:] if one[1]], ground.repository.requests[before:]
    for obj in ground.admin.items(child.path(APPS, "helmcharts")):
        assert "exist" not in json.dumps(status_of(obj)), "the status tells which Secrets there are"
    ground.admin("DELETE", child.path(APPS, "helmcharts"))


@attack("child", "makes the hub send requests to a server of the parent's network, by the address of its API server")
@both
def moves_its_address(ground: Ground, child: Child) -> None:
    before, url = len(ground.listener.requests), ground.listener.url
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "child-cluster-deployer"},
        "stringData": {"token": "any-header-of-the-attacker", "apiserver-advertise-url": url, "ca.crt": ""},
    }
    child.ask("POST", child.path(CORE, "secrets"), secret)
    child.ask("PUT", child.path(CORE, "secrets", "child-cluster-deployer"), secret)
    for address in (
        f"{url}/latest/meta-data/iam?x=",
        f"{url}/latest#",
        url.replace("127.0.0.1", "localhost"),
        url.replace("127.0.0.1", "[::ffff:127.0.0.1]"),
        url.replace("127.0.0.1", "2130706433"),
        url.replace("127.0.0.1", "0.0.0.0"),
        url.replace("127.0.0.1", "127.1"),
        f"{url}/\r\nX-Injected: yes",
        "file:///etc/passwd",
        "not an address",
        "https://[",
    ):
        child.report(useSocket=False, appPusher=True, apiserverURL=address)
        time.sleep(0.2)
    predictor = {"predictorEnabled": True, "predictorDirectAccess": True, "predictorAddress": f"{url}/predict"}
    child.report(useSocket=False, **predictor)
    ground.honest.passes()
    assert len(ground.listener.requests) == before, ground.listener.requests[before:]
    assert SECRET_ANSWER not in json.dumps(ground.description(child))
    child.report(useSocket=False, appPusher=False, apiserverURL="", **dict.fromkeys(predictor, None))
    ground.admin("DELETE", child.path(CORE, "secrets", "child-cluster-deployer"))


def nested(depth: int) -> str:
    """Return JSON that many levels deep."""
    return '{"a":' * depth + "1" + "}" * depth


SHAPES = (
    '{"conditions": ["not an object"]}',
    '{"conditions": "not a list"}',
    '{"conditions": [null, 1, [], {}]}',
    '{"conditions": [{"type": 1, "status": {}}]}',
    '{"replicas": "many", "readyReplicas": [], "observedGeneration": {}}',
    '{"replicas": 1e400}',
    '{"replicas": -9223372036854775808, "availableReplicas": 18446744073709551615}',
    '{"loadBalancer": {"ingress": [1, "x", null]}}',
    '{"loadBalancer": "x"}',
    '{"\\ud800": "\\udfff"}',
    nested(300),
    nested(1_100),
    nested(9_000),
    "[" * 2_000 + "]" * 2_000,
)
"""Statuses that no API server of a child gives."""


@attack("child", "forges the status of what is published to it, in every shape and depth that an API server takes")
@both
def forges_statuses(ground: Ground, child: Child) -> None:
    name = ground.description(child)["metadata"]["name"]
    path = child.path(APPS, "descriptions", name)
    for shape in SHAPES:
        feed = {"apiVersion": "v1", "kind": "ConfigMap", "name": "shared", "namespace": "default"}
        body = json.dumps(
            {"status": {"phase": "Success", "manifestStatuses": [{**feed, "feedStatus": 1, "observedStatus": "@"}]}}
        )
        child.ask("PATCH", f"{path}/status", body.replace('"@"', shape), content_type=MERGE)
        time.sleep(0.1)
    ground.honest.passes()

    def counted() -> bool:
        status = status_of(ground.admin.get(within(APPS, "default", "subscriptions", "shared")))
        return status.get("desiredReleases", 0) >= 2 and status.get("completedReleases", 0) >= 1

    wait(counted, "the Subscription counts the honest cluster")
    child.ask("PATCH", f"{path}/status", {"status": {"manifestStatuses": None}}, content_type=MERGE)


@attack("child", "gives its ManagedCluster labels, another cluster's ID, taints, a finalizer, or a twin")
@both
def pretends(ground: Ground, child: Child) -> None:
    before = ground.admin.get(child.managed_cluster)
    victim = ground.victim
    labels = {"honest": "yes", "tier": "gold", "clusters.clusternet.io/cluster-name": victim.name}
    identity = {"clusters.clusternet.io/cluster-id": victim.id}
    for body in (
        {"metadata": {"labels": labels}},
        {"metadata": {"labels": identity}},
        {"spec": {"clusterId": victim.id}},
        {"spec": {"taints": []}},
        {"metadata": {"finalizers": ["example.com/never"]}},
        {"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": "x", "uid": victim.id}]}},
    ):
        child.ask("PATCH", child.managed_cluster, body, content_type=MERGE)
        child.ask("PATCH", f"{child.managed_cluster}/status", body, content_type=MERGE)
        applied = {"apiVersion": "clusters.clusternet.io/v1beta1", "kind": "ManagedCluster", **body}
        applied["metadata"] = {**body.get("metadata", {}), "name": child.name}
        child.ask("PATCH", f"{child.managed_cluster}?fieldManager=x&force=true", applied, content_type=APPLY)
    operations = [{"op": "add", "path": f"/metadata/labels/{key}", "value": "x"} for key in ("honest", "tier")]
    child.ask("PATCH", child.managed_cluster, operations, content_type=JSON_PATCH)
    changed = ground.admin.get(child.managed_cluster)
    metadata = changed["metadata"]
    child.ask("PUT", child.managed_cluster, {**changed, "metadata": {**metadata, "labels": labels | identity}})
    now = ground.admin.get(child.managed_cluster)
    assert now["metadata"]["labels"] == before["metadata"]["labels"]
    assert now["spec"] == before["spec"]
    assert "example.com/never" not in now["metadata"].get("finalizers", ())
    for name, cluster_id in ((victim.name, victim.id), ("bank-prod", child.id)):
        twin = {
            "apiVersion": "clusters.clusternet.io/v1beta1",
            "kind": "ManagedCluster",
            "metadata": {"name": name, "labels": {**labels, "clusters.clusternet.io/cluster-id": cluster_id}},
            "spec": {**before["spec"], "clusterId": cluster_id},
        }
        child.tries("POST", child.path(CLUSTERS, "managedclusters"), twin)
    names = [one["metadata"]["name"] for one in ground.admin.items(child.path(CLUSTERS, "managedclusters"))]
    assert names == [child.name]


@attack("child", "uses another child's tunnel, or reaches it through the parent")
@both
def uses_others_tunnels(ground: Ground, child: Child) -> None:
    other = f"{SOCKETS}/{ground.victim.id}"
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": base64.b64encode(b"0123456789abcdef").decode(),
    }
    for path in (
        other,
        f"{other}/proxy/direct/version",
        f"{SOCKETS}/{child.id}/../{ground.victim.id}",
        f"{SOCKETS}/{child.id}%2f..%2f{ground.victim.id}",
        f"{SOCKETS}/{child.id}/proxy/direct/version",
        SOCKETS,
    ):
        for method in ("GET", "POST", "DELETE"):
            answer = child.ask(method, path, headers=upgrade if method == "GET" else None)
            assert answer.status in (301, 401, 403, 404, 405), (method, path, answer)
    for header in (
        {"Impersonate-User": "clusternet"},
        {"Impersonate-Group": "system:masters", "Impersonate-User": "x"},
        {"X-Remote-User": "admin", "X-Remote-Group": "system:masters"},
    ):
        answer = child.ask("GET", f"{CORE}/secrets", headers=header)
        assert answer.status == 403, answer


@attack("child", "reads, forges or takes over registration requests")
@both
def forges_requests(ground: Ground, child: Child) -> None:
    other, own = f"{REQUESTS}/clusternet-{ground.victim.id}", f"{REQUESTS}/clusternet-{child.id}"
    before = ground.admin.get(other)
    for method, path, body in (
        ("GET", other, None),
        ("GET", REQUESTS, None),
        ("GET", f"{REQUESTS}?fieldSelector=metadata.name%3Dclusternet-{ground.victim.id}", None),
        ("GET", f"{REQUESTS}?watch=true&timeoutSeconds=1", None),
        ("DELETE", other, None),
        ("DELETE", own, None),
        ("DELETE", REQUESTS, None),
        ("PUT", f"{other}/status", before),
        ("PATCH", f"{own}/status", {"status": {"dedicatedNamespace": ground.victim.namespace}}),
        ("PATCH", own, {"metadata": {"labels": {"x": "y"}}}),
    ):
        answer = child.ask(method, path, body, content_type=MERGE if method == "PATCH" else "application/json")
        assert answer.status == 403, (method, path, answer)


@attack("child", "asks every kind of the parent for every verb, in its own namespace and in others")
def asks_for_everything(ground: Ground) -> None:
    [child] = [one for one in ground.children if one.narrow]
    taken = []
    for group, version, resource in resources(ground):
        if group in _FOR_EVERYBODY:
            continue
        prefix = f"/apis/{group}/{version}" if group else f"/api/{version}"
        plural, namespaced = resource["name"], resource["namespaced"]
        namespaces = (child.namespace, ground.victim.namespace, "default", "kube-system", RESERVED)
        for place in (
            (f"{prefix}/namespaces/{one}/{plural}" for one in namespaces) if namespaced else (f"{prefix}/{plural}",)
        ):
            for method, path in (
                ("GET", place),
                ("POST", f"{place}?dryRun=All"),
                ("PUT", f"{place}/nothing?dryRun=All"),
                ("PATCH", f"{place}/nothing?dryRun=All"),
                ("DELETE", f"{place}/nothing?dryRun=All"),
                ("DELETE", f"{place}?dryRun=All"),
            ):
                if child.ask(
                    method,
                    path,
                    None if method in ("GET", "DELETE") else {},
                    content_type=(MERGE if method == "PATCH" else "application/json"),
                ).status not in (403, 404, 405):
                    taken.append((method, place, plural))
                elif method != "GET" and namespaced and f"/{child.namespace}/" in place:
                    continue
    allowed = [
        (method, place, plural)
        for method, place, plural in taken
        if f"/namespaces/{child.namespace}/" in place
        and (plural in READABLE if method == "GET" else (method, plural) in WRITABLE)
    ]
    beyond = [f"{method} {place}" for method, place, plural in taken if (method, place, plural) not in allowed]
    creates_requests = f"POST {REQUESTS}"
    assert set(beyond) <= {creates_requests}, beyond


def resources(ground: Ground) -> list[tuple[str, str, dict[str, Any]]]:
    """Return every kind that the parent serves, with its API group and version."""
    versions = [("", "v1")]
    for group in ground.admin.get("/apis")["groups"]:
        version = group["preferredVersion"]["version"]
        versions.append((group["name"], version))
    found = []
    for group, version in versions:
        listed = ground.admin("GET", f"/apis/{group}/{version}" if group else f"/api/{version}").body
        found += [(group, version, one) for one in listed.get("resources") or () if "/" not in one["name"]]
    return found


@attack("child", "gives itself rights, pods, tokens, and loosens its namespace")
def loosens_its_namespace(ground: Ground) -> None:
    [child] = [one for one in ground.children if one.narrow]
    privileged = {
        "metadata": {"name": "escape"},
        "spec": {
            "containers": [{"name": "x", "image": "x", "securityContext": {"privileged": True}}],
            "volumes": [{"name": "host", "hostPath": {"path": "/"}}],
        },
    }
    binding = {
        "metadata": {"name": "mine"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": child.account, "namespace": child.namespace}],
    }
    for method, path, body in (
        ("POST", child.path(CORE, "pods"), privileged),
        ("POST", child.path(CORE, "pods") + "/x/exec", {}),
        ("POST", child.path(RBAC, "rolebindings"), binding),
        ("POST", f"{RBAC}/clusterrolebindings", binding),
        ("POST", child.path(CORE, "serviceaccounts"), {"metadata": {"name": "second"}}),
        ("POST", child.path(CORE, "serviceaccounts", "default") + "/token", {"spec": {}}),
        (
            "PATCH",
            f"{CORE}/namespaces/{child.namespace}",
            {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "privileged"}}},
        ),
        ("PUT", f"{CORE}/namespaces/{child.namespace}/finalize", {}),
        ("DELETE", f"{CORE}/namespaces/{child.namespace}", None),
        ("PUT", child.path("/apis/apps/v1", "deployments", "x") + "/scale", {}),
        ("POST", f"{CORE}/namespaces/{child.namespace}/services/x/proxy", {}),
        ("GET", f"{CORE}/nodes/x/proxy/", None),
    ):
        answer = child.ask(method, path, body, content_type=MERGE if method == "PATCH" else "application/json")
        assert answer.status in (403, 404, 405), (method, path, answer)


@attack("child", "reads Secrets of others, by name, by list, by watch and by paths that lead elsewhere")
def reads_secrets(ground: Ground) -> None:
    [child] = [one for one in ground.children if one.narrow]
    ours = f"{CORE}/namespaces/{child.namespace}/secrets"
    for path in (
        f"{CORE}/secrets",
        f"{CORE}/secrets?watch=1&timeoutSeconds=1",
        f"{CORE}/namespaces/ops/secrets/postgres",
        f"{CORE}/namespaces/{ground.victim.namespace}/secrets",
        f"{CORE}/namespaces/{ground.victim.namespace}/secrets/child-cluster-deployer",
        f"{CORE}/namespaces/clusternet-system/secrets/clusternet-hub",
        f"{CORE}/namespaces/kube-system/secrets",
        ours,
        f"{ours}/../../ops/secrets/postgres",
        f"{ours}/..%2f..%2fops%2fsecrets%2fpostgres",
        f"{ours}/%2e%2e/%2e%2e/ops/secrets/postgres",
        f"{CORE}//namespaces/ops/secrets/postgres",
        within(SHADOW, "default", "secrets"),
        within(SHADOW, "default", "secrets", "planted"),
        within(APPS, RESERVED, "manifests"),
    ):
        answer = child.ask("GET", path)
        assert answer.status in (301, 307, 400, 401, 403, 404), (path, answer.status)
        assert PULL_PASSWORD not in answer.text
        assert base64.b64encode(PULL_PASSWORD.encode()).decode() not in answer.text


@attack("child", "obtains a token of another account by a Secret that Kubernetes fills in")
def asks_for_tokens_by_secrets(ground: Ground) -> None:
    [child] = [one for one in ground.children if one.narrow]
    for namespace, account in (
        (child.namespace, "default"),
        (ground.victim.namespace, ground.victim.account),
        ("clusternet-system", "clusternet-hub"),
    ):
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "mine", "annotations": {"kubernetes.io/service-account.name": account}},
            "type": "kubernetes.io/service-account-token",
        }
        answer = child.ask("POST", within(CORE, namespace, "secrets"), secret)
        if namespace != child.namespace:
            assert answer.status == 403, answer
            continue
        if answer.status != 201:
            continue
        # Whatever it gets is an account of its own namespace, which may do nothing.
        token = ground.admin("GET", within(CORE, namespace, "secrets", "mine")).body.get("data", {}).get("token", "")
        if token:
            review = {"spec": {"namespace": namespace}}
            path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
            headers = {"Authorization": f"Bearer {base64.b64decode(token).decode()}"}
            rules = child.ask("POST", path, review, headers=headers).body["status"]["resourceRules"]
            assert all(set(rule["apiGroups"]) <= _FOR_EVERYBODY for rule in rules), rules
        ground.admin("DELETE", within(CORE, namespace, "secrets", "mine"))


@attack("child", "blocks its revocation by damaged objects and finalizers")
def blocks_its_revocation(ground: Ground) -> None:
    child = ground.register("doomed")
    path = child.path(APPS, "descriptions", ground.description(child)["metadata"]["name"])
    never = {"metadata": {"finalizers": ["apps.clusternet.io/finalizer", "example.com/never"]}}
    for target in (path, child.managed_cluster):
        child.ask("PATCH", target, never, content_type=MERGE)
    child.ask("PATCH", path, {"spec": {"raw": ["e25vdCBKU09O", "not base64"], "charts": None}}, content_type=MERGE)
    deep = '{"status": {"manifestStatuses": [{"feedStatus": 1, "observedStatus": ' + nested(1_500) + "}]}}"
    child.ask("PATCH", f"{path}/status", deep, content_type=MERGE)
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "child-cluster-deployer", **never["metadata"]}}
    child.ask("POST", child.path(CORE, "secrets"), {**secret, "stringData": {"token": "\u0000", "ca.crt": "x"}})
    options = {
        "kubeconfig": str(ground.parent.kubeconfig),
        "names": [child.name],
        "namespace": child.namespace,
        "state": "absent",
        "force": True,
    }
    command = [
        Path(sys.executable).with_name("ansible"),
        "localhost",
        "-m",
        "clusternet.core.managed_cluster",
        "-a",
        json.dumps(options),
    ]
    done = subprocess.run(
        command, env=module_environment(ground.folder), capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    answer = child.ask("GET", child.managed_cluster)
    assert answer.status in (401, 403, 404), answer
    forget(ground.admin, child)
