"""The playbook `publish` with every example, on a child that is pushed to and one that pulls (spec/06 A1 to A8)."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from charts import ChartServer
from deployment import ROOT, Deployment

EXAMPLES = ROOT / "examples"
DEPLOYMENTS = "/apis/apps/v1/namespaces/{}/deployments/my-nginx"


@pytest.fixture(scope="module")
def charts() -> Iterator[ChartServer]:
    """The charts of the examples, served from this machine."""
    with ChartServer() as server:
        server.add_example("mysql", "9.1.0", "9.1.8", "9.2.0")
        yield server


pytestmark = pytest.mark.usefixtures("nothing_is_forbidden")


class Example:
    """Publishes examples by the playbook, and takes them back at the end."""

    def __init__(self, deployment: Deployment, charts: ChartServer) -> None:
        self.deployment = deployment
        self._variables = {
            "clusternet_publish_wait_timeout": 90,
            "example_chart_repo": charts.repo,
            "example_registry": charts.host,
            "example_registry_plain_http": True,
        }
        self._published: list[list[str]] = []

    def publish(self, *names: str, **variables: Any) -> str:
        """Publish examples and return the output; what is published already changes nothing the second time."""
        options = self._options(names, variables)
        self._published.append(options)
        output = self.deployment.playbook("clusternet.core.publish", *options)
        assert "changed=0" in self.deployment.playbook("clusternet.core.publish", *options)
        return output

    def take_back(self) -> None:
        """Remove everything, as the playbook does it."""
        for options in reversed(self._published):
            self.deployment.playbook("clusternet.core.publish", *options, "-e", "clusternet_publish_state=absent")
        self._published.clear()

    def _options(self, names: tuple[str, ...], variables: dict[str, Any]) -> list[str]:
        files = [f"@{EXAMPLES / name}.yml" for name in names]
        return [word for text in (*files, json.dumps(self._variables | variables)) for word in ("-e", text)]

    def look(self, child: str, path: str) -> dict[str, Any] | None:
        """Return what is at a path of a child; None if nothing is."""
        answer = self.deployment.children[child]("GET", path)
        return answer.body if answer.status == 200 else None

    def is_going(self, child: str, path: str) -> bool:
        """Return whether something is gone from a child, or on its way."""
        obj = self.look(child, path)
        return obj is None or "deletionTimestamp" in obj["metadata"]

    def release(self, name: str) -> dict[str, Any]:
        """Return the only HelmRelease of this name."""
        items = self.deployment.parent.items("/apis/apps.clusternet.io/v1alpha1/helmreleases")
        (found,) = [item for item in items if item["spec"]["releaseName"] == name]
        return found

    def replicas(self, namespace: str) -> dict[str, int | None]:
        """Return how many replicas of the Deployment each child runs."""
        found = {child: self.look(child, DEPLOYMENTS.format(namespace)) for child in self.deployment.children}
        return {child: (obj or {}).get("spec", {}).get("replicas") for child, obj in found.items()}


@pytest.fixture
def example(deployment: Deployment, charts: ChartServer) -> Iterator[Example]:
    """Examples that are gone after the test."""
    made = Example(deployment, charts)
    yield made
    made.take_back()


def labels(obj: dict[str, Any]) -> dict[str, str]:
    """Return the labels of an object."""
    return obj["metadata"].get("labels") or {}


def test_a1_a2_a3_replication_and_differences(example: Example) -> None:
    output = example.publish("replication", "globalization", "localization")
    assert "default/app-demo" in output
    deployment = example.look("child1", DEPLOYMENTS.format("foo"))
    annotations = deployment["metadata"]["annotations"]
    assert annotations["apps.clusternet.io/owned-by-description"].endswith("-generic")
    assert annotations["foo"] == "bar"
    assert labels(deployment)["deployed-in-cluster"] == "child1"
    assert "some-label" not in labels(deployment)  # that is for the south
    containers = deployment["spec"]["template"]["spec"]["containers"]
    assert [(item["name"], item["image"]) for item in containers] == [
        ("nginx-container", "nginx:1.14.0-alpine"),
        ("redis-container", "redis:7"),
    ]
    assert deployment["spec"]["replicas"] == 3
    release = example.release("mysql")
    assert release["spec"]["version"] == "9.1.8"
    assert labels(release)["some-label"] == "some-value-2"
    assert release["status"]["phase"] == "deployed"
    mysql = example.look("child1", "/apis/apps/v1/namespaces/abc/statefulsets/mysql")
    assert mysql["spec"]["template"]["spec"]["containers"][0]["image"].endswith(":8.0.26-debian-10-r39")
    assert labels(mysql)["published-by"] == "clusternet"
    for path in ("/api/v1/namespaces/foo", "/apis/apps/v1/namespaces/abc/statefulsets/mysql"):
        assert example.look("child2", path) is None
    example.take_back()
    for path in ("/api/v1/namespaces/foo", "/apis/apps/v1/namespaces/abc/statefulsets/mysql"):
        assert example.is_going("child1", path)


def test_the_demo_application_differs_on_each_child(example: Example) -> None:
    example.publish("app-demo")
    assert example.replicas("foo") == {"child1": 3, "child2": 1}
    databases = {
        child: example.look(child, "/apis/apps/v1/namespaces/abc/statefulsets/mysql")["spec"]["template"]["spec"]
        for child in example.deployment.children
    }
    values = {
        child: next(item["value"] for item in spec["containers"][0]["env"] if item["name"] == "MYSQL_DATABASE")
        for child, spec in databases.items()
    }
    assert values == {"child1": "north", "child2": "my_database"}


def test_a4_static_dividing(example: Example) -> None:
    example.publish("static-dividing")
    assert example.replicas("bar") == {"child1": 2, "child2": 4}
    example.publish("static-dividing", example_replicas=9)
    assert example.replicas("bar") == {"child1": 3, "child2": 6}


def test_a5_dynamic_dividing(example: Example) -> None:
    example.publish("dynamic-dividing")
    assert example.replicas("qux") == {"child1": 3, "child2": 3}
    example.publish("dynamic-dividing", example_replicas=4)
    assert example.replicas("qux") == {"child1": 2, "child2": 2}


@pytest.mark.parametrize(
    ("strategy", "replicas"),
    [("replication", {"child1": 6, "child2": 6}), ("static", {"child1": 4, "child2": 2}), ("dynamic", None)],
)
def test_a6_sub_groups(example: Example, strategy: str, replicas: dict[str, int] | None) -> None:
    example.publish("sub-groups", example_strategy=strategy)
    found = example.replicas("sub-groups")
    if replicas:
        assert found == replicas
    else:
        assert sum(found.values()) == 6


def test_a7_field_patch(example: Example) -> None:
    example.publish("field-patch")
    path = "/api/v1/namespaces/field-patch/configmaps/server-conf"
    texts = {child: example.look(child, path)["data"]["server.conf"] for child in example.deployment.children}
    assert json.loads(texts["child1"])["region_id"] == "eu-1"
    patched = {"db_address": "local:3306", "log_level": "info", "region_id": "us-west-1", "zone_id": "zone-1"}
    assert texts["child2"] == json.dumps(patched, indent=4)


def test_a8_oci(example: Example) -> None:
    example.publish("oci")
    for child in example.deployment.children:
        assert example.look(child, "/apis/apps/v1/namespaces/oci/statefulsets/oci-mysql")


CLASSES = "/apis/scheduling.k8s.io/v1/priorityclasses"
ROLES = "/apis/rbac.authorization.k8s.io/v1"
PLAIN = {"image": "registry.example.org/one:1", "name": "main"}


def what_only_children_have(namespace: str) -> list[dict[str, Any]]:
    """Return objects that the parent would refuse or change if they were its own, and names that no label can hold."""
    long = f"{namespace}-controller-manager-leader-election-for-the-regional-storage-gateways"
    rbac = {"apiVersion": "rbac.authorization.k8s.io/v1"}
    subjects = [{"kind": "ServiceAccount", "name": "worker", "namespace": namespace}]
    reference = {"apiGroup": "rbac.authorization.k8s.io"}
    inside = {"namespace": namespace}
    job = {"restartPolicy": "Never", "containers": [PLAIN]}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "worker", **inside}},
        {**rbac, "kind": "Role", "metadata": {"name": "worker", **inside}, "rules": []},
        {
            **rbac,
            "kind": "RoleBinding",
            "metadata": {"name": "worker", **inside},
            "roleRef": {**reference, "kind": "Role", "name": "worker"},
            "subjects": subjects,
        },
        {**rbac, "kind": "ClusterRole", "metadata": {"name": f"system:{namespace}"}, "rules": []},
        {**rbac, "kind": "ClusterRole", "metadata": {"name": long}, "rules": []},
        {
            **rbac,
            "kind": "ClusterRoleBinding",
            "metadata": {"name": f"system:{namespace}"},
            "roleRef": {**reference, "kind": "ClusterRole", "name": f"system:{namespace}"},
            "subjects": subjects,
        },
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "one", **inside},
            "spec": {"serviceAccountName": "worker", "containers": [PLAIN]},
        },
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": "migrate", **inside},
            "spec": {"ttlSecondsAfterFinished": 3, "template": {"spec": job}},
        },
    ]


def test_what_only_children_have_and_the_parents_defaults(example: Example, tmp_path: Path) -> None:
    """A default PriorityClass of the parent's, roles that it hasn't, names that no label holds, a Job that goes."""
    parent, namespace = example.deployment.parent, "children-only"
    usual = {"metadata": {"name": "parent-usual"}, "value": 1000, "globalDefault": True}
    assert parent("POST", CLASSES, usual).status == 201
    objects = what_only_children_have(namespace)
    (tmp_path / "objects.yml").write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
    feeds = [{"api_version": obj["apiVersion"], "kind": obj["kind"], **obj["metadata"]} for obj in objects]
    subscription = {"name": namespace, "subscribers": [{"cluster_affinity": {}}], "feeds": feeds}
    variables = {
        "clusternet_publish_files": [str(tmp_path / "objects.yml")],
        "clusternet_publish_subscriptions": [subscription],
        "clusternet_publish_wait_timeout": 90,
    }
    options = ["-e", json.dumps(variables)]
    publish = "clusternet.core.publish"
    try:
        example.deployment.playbook(publish, *options)
        assert "changed=0" in example.deployment.playbook(publish, *options)
        for child in example.deployment.children:
            pod = example.look(child, f"/api/v1/namespaces/{namespace}/pods/one")
            assert "priorityClassName" not in pod["spec"]
            for name in ("system%3A" + namespace, objects[5]["metadata"]["name"]):
                assert example.look(child, f"{ROLES}/clusterroles/{name}")
            assert example.look(child, f"{ROLES}/namespaces/{namespace}/rolebindings/worker")
    finally:
        example.deployment.playbook(publish, *options, "-e", "clusternet_publish_state=absent")
        parent("DELETE", f"{CLASSES}/parent-usual")
    for child in example.deployment.children:
        assert example.is_going(child, f"{ROLES}/clusterroles/system%3A{namespace}")
