"""Attacks by users of the parent who have rights in one namespace: to publish ConfigMaps, or to make HelmCharts."""

import base64
import json
import time
from functools import partial
from typing import Any

from attacks.child import APPLY, JSON_PATCH, MERGE, STRATEGIC, chart, nested
from attacks.ground import CHARTS, PULL_PASSWORD, TEAM, Child, Ground
from attacks.honest import status_of
from attacks.listener import SECRET_ANSWER
from attacks.listing import attack
from attacks.paths import APPS, CORE, RESERVED, SHADOW, within

SOON = 20.0
"""Seconds within which anything of a user is answered, be it by a refusal."""
MANY = 40
"""Objects of one user that each keep a worker busy for as long as they can."""


def bomb(levels: int = 9, width: int = 9) -> str:
    """Return a YAML mapping of a few hundred bytes whose aliases stand for billions of values."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    for level in range(1, levels):
        lines.append(f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * width)}]")
    return "\n".join(lines) + "\n"


def config_map(name: str, **fields: Any) -> dict[str, Any]:
    """Return a ConfigMap."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, **fields}


def is_answered(ground: Ground, method: str, path: str, body: Any, content_type: str, *statuses: int) -> None:
    """Make sure that a request of the user is answered soon, with one of these statuses."""
    began = time.monotonic()
    answer = ground.user(method, path, body, content_type=content_type)
    took = time.monotonic() - began
    assert answer.status in statuses, f"{method} {path} as {content_type}: {answer.status} {answer.text[:300]}"
    assert took < SOON, f"{method} {path} as {content_type} took {took:.1f} s"


@attack("user", "applies a few hundred bytes of YAML that stand for billions of values")
def applies_yaml_bombs(ground: Ground) -> None:
    path = within(SHADOW, TEAM, "configmaps", "bomb")
    head = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bomb}\n"
    merges = "".join(f"k{n}: &k{n} {{<<: [{', '.join([f'*k{n - 1}'] * 9)}]}}\n" for n in range(1, 9))
    for text in (
        head + bomb(),
        bomb() + head,
        head + "k0: &k0 {a: b}\n" + merges,
        head + "data: &d {x: *d}\n",
        head + "data: " + "[" * 50_000,
        head + "- " * 100_000,
        head + "data: {x: " + "1" * 300_000 + "}\n",
        head + "data:\n" + "".join(f"  ? [{n}]\n  : x\n" for n in range(1000)),
        "\ufeff" + head + "data: !!python/object/apply:os.system [id]\n",
    ):
        is_answered(ground, "PATCH", f"{path}?fieldManager=x&force=true", text.encode(), APPLY, 400, 413, 415, 422)
    ground.honest.passes(1)


@attack("user", "sends JSON that is deeper or larger than anything that makes sense, in every kind of request")
def sends_deep_json(ground: Ground) -> None:
    path = within(SHADOW, TEAM, "configmaps")
    ground.user("POST", path, config_map("deep", data={"a": "b"}))
    for depth in (200, 300, 1_100, 20_000, 200_000):
        body = json.dumps(config_map("deeper", data="@")).replace('"@"', nested(depth))
        is_answered(ground, "POST", path, body, "application/json", 400, 413, 422, 201)
        is_answered(
            ground, "PUT", f"{path}/deep", body.replace("deeper", "deep"), "application/json", 400, 413, 422, 200
        )
        for kind in (MERGE, STRATEGIC):
            is_answered(ground, "PATCH", f"{path}/deep", f'{{"data": {nested(depth)}}}', kind, 400, 413, 422, 200)
        operation = f'[{{"op": "add", "path": "/data", "value": {nested(depth)}}}]'
        is_answered(ground, "PATCH", f"{path}/deep", operation, JSON_PATCH, 400, 413, 422, 200)
        pointer = json.dumps([{"op": "add", "path": "/a" * depth, "value": 1}])
        is_answered(ground, "PATCH", f"{path}/deep", pointer, JSON_PATCH, 400, 413, 422)
    large = config_map("large", data={"x": "y" * 5_000_000})
    is_answered(ground, "POST", path, large, "application/json", 400, 413, 422)
    ground.user("DELETE", f"{path}/deep")
    ground.user("DELETE", f"{path}/deeper")
    ground.honest.passes(1)


@attack("user", "lets a JSON patch of two kilobytes double an object thirty times")
def doubles_by_patches(ground: Ground) -> None:
    path = within(SHADOW, TEAM, "configmaps")
    ground.user("POST", path, config_map("double", data={"a": "b" * 1000}))
    copies = [{"op": "copy", "from": "/data", "path": f"/data/c{n}"} for n in range(30)]
    moves = [{"op": op, "from": "", "path": f"/data/m{n}"} for n in range(30) for op in ("copy", "move")]
    tests = [{"op": "test", "path": "/data", "value": {}}] * 20_000
    for patch in (copies, moves, tests, [{"op": "copy"}] * 50, ["x"] * 50, [{"op": [], "path": {}}]):
        is_answered(ground, "PATCH", f"{path}/double", patch, JSON_PATCH, 400, 413, 422)
    ground.user("DELETE", f"{path}/double")
    ground.honest.passes(1)


@attack("user", "reaches other namespaces by paths, bodies and names that lead elsewhere")
def leaves_its_namespace(ground: Ground) -> None:
    ours = within(SHADOW, TEAM, "configmaps")
    other = within(SHADOW, "default", "configmaps", "honest")
    before = ground.admin.get(within(SHADOW, "default", "configmaps", "shared"))
    for path in (
        other,
        f"{SHADOW}/configmaps",
        f"{SHADOW}/namespaces/{TEAM}/../default/configmaps/honest",
        f"{SHADOW}/namespaces/{TEAM}/configmaps/../../default/configmaps/honest",
        f"{SHADOW}/namespaces/{TEAM}%2f..%2fdefault/configmaps/honest",
        f"{SHADOW}/namespaces/{TEAM}/%2e%2e/default/configmaps/honest",
        f"{SHADOW}//namespaces/default/configmaps/honest",
        f"{SHADOW}/namespaces/{TEAM}//default/configmaps/honest",
        f"{SHADOW}/namespaces/default/configmaps/honest/",
        f"{SHADOW}/namespaces/default/configmaps/honest?namespace={TEAM}",
        "/apis/shadow/../shadow/v1alpha1/namespaces/default/configmaps/honest",
        within(APPS, RESERVED, "manifests"),
        within(APPS, RESERVED, "manifests", "configmaps.default.honest"),
        within(SHADOW, TEAM, "secrets"),
        within(SHADOW, TEAM, "deployments"),
        f"{SHADOW}/namespaces",
        f"{SHADOW}/clusterroles",
    ):
        answer = ground.user("GET", path)
        assert answer.status in (301, 307, 400, 403, 404), (path, answer)
        assert '"data"' not in answer.text, path
        answer = ground.user("DELETE", path)
        assert answer.status in (301, 307, 400, 403, 404, 405), (path, answer)
    elsewhere = {"name": "shared", "namespace": "default"}
    for body in (
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": elsewhere},
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "x"}},
        config_map("../../x"),
        config_map("x.y/z"),
    ):
        answer = ground.user("POST", ours, body)
        assert answer.status in (400, 403, 404, 422), (body, answer)
    labels = {"apps.clusternet.io/config.namespace": "default", "apps.clusternet.io/config.name": "honest"}
    ground.user("POST", ours, {**config_map("labelled"), "metadata": {"name": "labelled", "labels": labels}})
    ground.honest.passes()
    assert ground.admin.get(within(SHADOW, "default", "configmaps", "shared"))["data"] == before["data"]
    ground.user("DELETE", f"{ours}/labelled")


@attack("user", "sends a hundred malformed objects, of shapes that no ConfigMap has")
def sends_wrong_shapes(ground: Ground) -> None:
    path = within(SHADOW, TEAM, "configmaps")
    values: tuple[Any, ...] = (None, [], {}, "x", 1, True, [[]], {"a": None}, "\u0000", -1)
    for field in (
        "metadata",
        "apiVersion",
        "kind",
        "data",
        "binaryData",
        "immutable",
        "labels",
        "finalizers",
        "ownerReferences",
        "managedFields",
    ):
        for value in values:
            body = config_map("shape")
            if field in ("labels", "finalizers", "ownerReferences", "managedFields"):
                body["metadata"][field] = value
            else:
                body[field] = value
            answer = ground.user("POST", path, body)
            assert answer.status < 500 or answer.status == 504, (field, value, answer)
            ground.user("DELETE", f"{path}/shape")
    ground.honest.passes(1)


def _charts(ground: Ground) -> Child:
    """Return the chart user's namespace in the shape of a place for charts."""
    return Child("", "", CHARTS, ground.chart_user, "user", narrow=False)


def _chart(ground: Ground, name: str, repo: str, **spec: Any) -> None:
    answer = ground.chart_user("POST", within(APPS, CHARTS, "helmcharts"), chart(name, _charts(ground), repo, **spec))
    assert answer.status in (201, 403, 409, 422), answer


@attack("user", "makes the hub send the password in a Secret of another namespace to a repository of their own")
def borrows_pull_secrets(ground: Ground) -> None:
    before = len(ground.repository.requests)
    for index, (namespace, name) in enumerate(
        (
            ("ops", "postgres"),
            ("OPS", "postgres"),
            ("../ops", "postgres"),
            ("ops", "../../ops/secrets/postgres"),
            ("kube-system", "nope"),
            ("clusternet-system", "clusternet-hub"),
        )
    ):
        _chart(
            ground,
            f"borrow-{index}",
            f"{ground.repository.url}/borrow",
            chartPullSecret={"namespace": namespace, "name": name},
        )
    ground.honest.passes()
    shown = [one for one in ground.repository.requests[before:] if one[1]]
    assert not shown, shown
    told = json.dumps([status_of(one) for one in ground.admin.items(within(APPS, CHARTS, "helmcharts"))])
    assert PULL_PASSWORD not in told
    ground.chart_user("DELETE", within(APPS, CHARTS, "helmcharts"))


@attack("user", "makes the hub fetch from the parent's own network by the address of a chart repository")
def fetches_from_within(ground: Ground) -> None:
    before, url = len(ground.listener.requests), ground.listener.url
    ground.repository.answers["redirect"] = lambda: (302, {"Location": f"{url}/latest/meta-data"}, b"")
    ground.repository.answers["index"] = lambda: (200, {}, _index(f"{url}/latest/meta-data"))
    port = url.rpartition(":")[2]
    for index, repo in enumerate(
        (
            f"{url}/latest/meta-data",
            f"{ground.repository.url}/redirect",
            f"{ground.repository.url}/index",
            f"http://localhost:{port}/x",
            f"http://LOCALHOST.:{port}/x",
            f"http://[::ffff:127.0.0.1]:{port}/x",
            f"http://2130706433:{port}/x",
            f"http://0x7f000001:{port}/x",
            f"http://127.1:{port}/x",
            f"http://0.0.0.0:{port}/x",
            f"http://user:word@127.0.0.1:{port}/x",
            f"http://example.org@127.0.0.1:{port}/x",
            "http://169.254.169.254/latest/meta-data",
            f"oci://127.0.0.1:{port}/charts",
            f"https://127.0.0.1:{ground.parent.server.rpartition(':')[2]}/api",
        )
    ):
        _chart(ground, f"fetch-{index}", repo, **({"plainHTTP": True} if repo.startswith("oci") else {}))
    ground.honest.passes(3)
    assert len(ground.listener.requests) == before, ground.listener.requests[before:]
    told = json.dumps([status_of(one) for one in ground.admin.items(within(APPS, CHARTS, "helmcharts"))])
    assert SECRET_ANSWER not in told
    assert "INTERNAL-ONLY" not in told
    ground.chart_user("DELETE", within(APPS, CHARTS, "helmcharts"))


def _index(url: str) -> bytes:
    """Return the index of a repository whose only chart is at a URL of somebody else."""
    entry = {"apiVersion": "v2", "name": "takeover", "version": "1.0.0", "urls": [url]}
    return json.dumps({"apiVersion": "v1", "entries": {"takeover": [entry]}}).encode()


def _answer(body: bytes) -> tuple[int, dict[str, str], bytes]:
    return 200, {}, body


@attack("user", "names repositories whose index takes long to read, or is endless")
def serves_bombs(ground: Ground) -> None:
    head = "apiVersion: v1\n"
    for index, text in enumerate(
        (head + bomb(), head + "entries: " + "[" * 100_000, "- a\n" * 2_000_000, nested(5_000), "\x00" * 1000)
    ):
        ground.repository.answers[f"bomb-{index}"] = partial(_answer, text.encode())
        _chart(ground, f"bomb-{index}", f"{ground.repository.url}/bomb-{index}")
    ground.honest.passes(4)
    ground.chart_user("DELETE", within(APPS, CHARTS, "helmcharts"))


@attack("user", "makes many charts of repositories that never answer")
def keeps_workers_busy(ground: Ground) -> None:
    for index in range(MANY):
        _chart(ground, f"slow-{index}", f"http://192.0.2.{index + 1}/charts")
    ground.honest.passes(3)
    ground.chart_user("DELETE", within(APPS, CHARTS, "helmcharts"))
    ground.honest.check()


@attack("user", "reads what others have by Secrets, Subscriptions or tokens that their role doesn't name")
def oversteps_their_role(ground: Ground) -> None:
    for user, namespace in ((ground.user, TEAM), (ground.chart_user, CHARTS)):
        for method, path, body in (
            ("GET", within(CORE, "ops", "secrets", "postgres"), None),
            ("GET", f"{CORE}/secrets", None),
            ("POST", within(APPS, namespace, "subscriptions"), {"metadata": {"name": "x"}}),
            ("POST", within(APPS, namespace, "bases"), {"metadata": {"name": "x"}}),
            ("POST", f"{APPS}/globalizations", {"metadata": {"name": "x"}}),
            ("POST", within(CORE, namespace, "serviceaccounts", "user") + "/token", {"spec": {}}),
            ("GET", f"/apis/proxies.clusternet.io/v1alpha1/sockets/{ground.victim.id}/proxy/direct/version", None),
            ("GET", "/apis/clusters.clusternet.io/v1beta1/managedclusters", None),
            ("GET", "/apis/clusters.clusternet.io/v1beta1/clusterregistrationrequests", None),
        ):
            answer = user(method, path, body)
            assert answer.status == 403, (method, path, answer)
        headers = {
            "Impersonate-User": "clusternet",
            "Impersonate-Extra-Clusternet-Token": base64.b64encode(b"x").decode(),
        }
        assert user("GET", f"{CORE}/secrets", headers=headers).status == 403
