"""Every constraint of the kinds that Clusternet defines, checked at an API server (spec/01 §1–§4)."""

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

# Through JSON, so that parts which YAML aliases repeat are changed one by one.
SAMPLES = json.loads(json.dumps(yaml.safe_load((Path(__file__).parent / "samples.yaml").read_text())))
ID = "2f1c7a54-90cd-4f0e-a7d8-0123456789ab"
GONE = object()
FEED = {"apiVersion": "v1", "kind": "ConfigMap", "name": "settings"}
CHART = {"repo": "https://charts.example.com", "chart": "web", "targetNamespace": "shop"}


class Kind(NamedTuple):
    """What discovery and tables show of a kind (spec/01 §1)."""

    kind: str
    namespaced: bool
    status: bool
    short: list[str]
    categories: list[str]
    columns: list[str]


CLUSTERNET = ["clusternet"]
HELM_COLUMNS = ["CHART", "VERSION", "REPO", "STATUS", "AGE"]
KINDS = {
    "clusterregistrationrequests": Kind(
        "ClusterRegistrationRequest", False, True, ["clsrr"], CLUSTERNET, ["CLUSTER ID", "STATUS", "AGE"]
    ),
    "managedclusters": Kind(
        "ManagedCluster",
        True,
        True,
        ["mcls"],
        CLUSTERNET,
        ["CLUSTER ID", "CLUSTER TYPE 100", "SYNC MODE", "KUBERNETES", "STATUS", "AGE", "AGENT VERSION 100"],
    ),
    "subscriptions": Kind("Subscription", True, True, ["sub", "subs"], CLUSTERNET, ["AGE"]),
    "helmcharts": Kind("HelmChart", True, True, ["chart", "charts"], CLUSTERNET, HELM_COLUMNS),
    "manifests": Kind("Manifest", True, False, [], CLUSTERNET, ["AGE"]),
    "globalizations": Kind("Globalization", False, False, ["glob", "global"], CLUSTERNET, ["AGE"]),
    "localizations": Kind("Localization", True, False, ["loc", "local"], CLUSTERNET, ["AGE"]),
    "feedinventories": Kind("FeedInventory", True, False, ["finv"], CLUSTERNET, ["Age"]),
    "bases": Kind("Base", True, False, [], CLUSTERNET, ["AGE"]),
    "descriptions": Kind("Description", True, True, ["desc"], CLUSTERNET, ["DEPLOYER", "STATUS", "AGE"]),
    "helmreleases": Kind("HelmRelease", True, True, ["hr"], CLUSTERNET, HELM_COLUMNS),
    "serviceexports": Kind("ServiceExport", True, True, ["svcex"], [], ["Age"]),
    "serviceimports": Kind("ServiceImport", True, True, ["svcim"], [], ["Type", "IP", "Age"]),
    "nodefeaturerules": Kind("NodeFeatureRule", False, False, [], [], ["Age"]),
}

# The least that each kind asks for; None where even the spec may be left out.
LEAST: dict[str, dict[str, Any]] = {
    "clusterregistrationrequests": {},
    "managedclusters": {"spec": {"clusterId": ID, "syncMode": "Pull"}},
    "subscriptions": {"spec": {"subscribers": [{"clusterAffinity": {}}], "feeds": [FEED]}},
    "helmcharts": {"spec": CHART},
    "manifests": {"template": {}},
    "globalizations": {"spec": {}},
    "localizations": {"spec": {}},
    "feedinventories": {"spec": {"feeds": [FEED]}},
    "bases": {"spec": {"feeds": [FEED]}},
    "descriptions": {"spec": {"deployer": "Generic"}},
    "helmreleases": {"spec": CHART},
    "serviceexports": {},
    "serviceimports": {"spec": {"type": "Headless", "ports": []}},
    "nodefeaturerules": {"spec": {"rules": [{"name": "a"}]}},
}

SELECTOR_REQUIRED = ["matchExpressions.0.key", "matchExpressions.0.operator"]
TERM_REQUIRED = [f"{part}.0.{field}" for part in ("matchExpressions", "matchFields") for field in ("key", "operator")]
POD_TERM_REQUIRED = [
    "topologyKey",
    *(f"{selector}.{field}" for selector in ("labelSelector", "namespaceSelector") for field in SELECTOR_REQUIRED),
]
AFFINITY = "spec.feeds.0.replicaRequirements.affinity"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
REQUIRED_DURING = "requiredDuringSchedulingIgnoredDuringExecution"
FEED_REQUIRED = ["apiVersion", "kind", "name"]
CONDITION_REQUIRED = ["type", "status", "reason", "message", "lastTransitionTime"]


def below(prefix: str, fields: list[str]) -> list[str]:
    return [f"{prefix}.{field}" for field in fields]


REQUIRED = {
    "clusterregistrationrequests": ["spec.clusterId"],
    "managedclusters": [
        "spec.clusterId",
        "spec.syncMode",
        "spec.taints.0.key",
        "spec.taints.0.effect",
        *below("status.conditions.0", CONDITION_REQUIRED),
    ],
    "subscriptions": [
        "spec",
        "spec.subscribers",
        "spec.feeds",
        *below("spec.feeds.0", FEED_REQUIRED),
        "spec.subscribers.0.clusterAffinity",
        *below("spec.subscribers.0.clusterAffinity", SELECTOR_REQUIRED),
        *below(
            "spec.dividingScheduling.dynamicDividing.topologySpreadConstraints.0",
            ["maxSkew", "topologyKey", "whenUnsatisfiable", *below("labelSelector", SELECTOR_REQUIRED)],
        ),
        *below(
            "spec.dividingScheduling.dynamicDividing.preferredClusters.0",
            ["weight", "preference", *below("preference", TERM_REQUIRED)],
        ),
        *below("status.aggregatedStatuses.0", FEED_REQUIRED),
        *below("status.conditions.0", CONDITION_REQUIRED),
    ],
    "helmcharts": ["spec", "spec.repo", "spec.chart", "spec.targetNamespace"],
    "manifests": ["template"],
    "globalizations": [
        "spec",
        *below("spec.clusterAffinity", SELECTOR_REQUIRED),
        "spec.overrides.0.type",
        "spec.overrides.0.value",
        *below("spec.feed", FEED_REQUIRED),
    ],
    "localizations": ["spec", "spec.overrides.0.type", "spec.overrides.0.value", *below("spec.feed", FEED_REQUIRED)],
    "feedinventories": [
        "spec.feeds",
        *below("spec.feeds.0", FEED_REQUIRED),
        "spec.feeds.0.replicaRequirements.resources.claims.0.name",
        *below(
            f"{AFFINITY}.nodeAffinity.{PREFERRED}.0",
            ["weight", "preference", *below("preference", TERM_REQUIRED)],
        ),
        f"{AFFINITY}.nodeAffinity.{REQUIRED_DURING}.nodeSelectorTerms",
        *below(f"{AFFINITY}.nodeAffinity.{REQUIRED_DURING}.nodeSelectorTerms.0", TERM_REQUIRED),
        *(
            path
            for side in ("podAffinity", "podAntiAffinity")
            for path in [
                f"{AFFINITY}.{side}.{PREFERRED}.0.weight",
                f"{AFFINITY}.{side}.{PREFERRED}.0.podAffinityTerm",
                *below(f"{AFFINITY}.{side}.{PREFERRED}.0.podAffinityTerm", POD_TERM_REQUIRED),
                *below(f"{AFFINITY}.{side}.{REQUIRED_DURING}.0", POD_TERM_REQUIRED),
            ]
        ),
    ],
    "bases": ["spec.feeds", *below("spec.feeds.0", FEED_REQUIRED)],
    "descriptions": [
        "spec",
        "spec.deployer",
        "spec.charts.0.name",
        "spec.charts.0.namespace",
        *below("status.manifestStatuses.0", FEED_REQUIRED),
        *below("status.conditions.0", CONDITION_REQUIRED),
    ],
    "helmreleases": ["spec", "spec.repo", "spec.chart", "spec.targetNamespace"],
    "serviceexports": below("status.conditions.0", CONDITION_REQUIRED),
    "serviceimports": ["spec.type", "spec.ports", "spec.ports.0.port", "status.clusters.0.cluster"],
    "nodefeaturerules": [
        "spec",
        "spec.rules",
        "spec.rules.0.name",
        "spec.rules.0.matchFeatures.0.feature",
        "spec.rules.0.matchFeatures.0.matchExpressions",
        "spec.rules.0.matchFeatures.0.matchExpressions.AVX512F.op",
        "spec.rules.0.matchAny.0.matchFeatures",
        "spec.rules.0.matchAny.0.matchFeatures.0.feature",
        "spec.rules.0.matchAny.0.matchFeatures.0.matchExpressions",
        "spec.rules.0.matchAny.0.matchFeatures.0.matchExpressions.AVX512F.op",
    ],
}

# A default steps in before these are asked for (spec/01 §3.1).
DEFAULTED_REQUIRED = {
    "subscriptions": ["spec.dividingScheduling.type", "spec.dividingScheduling.dynamicDividing.strategy"]
}

FEATURE_OPERATORS = [
    "In", "NotIn", "InRegexp", "Exists", "DoesNotExist", "Gt", "Lt", "GtLt", "IsTrue", "IsFalse",
]  # fmt: skip
SYNC_MODES = ["Push", "Pull", "Dual"]
OVERRIDE_TYPES = ["Helm", "JSONPatch", "MergePatch", "FieldJSONPatch", "FieldMergePatch"]
PHASES = ["Pending", "Success", "Failure", "Installing", "Upgrading", "Uninstalling", "Superseded", "Unknown"]
ENUMS = [
    ("clusterregistrationrequests", "spec.syncMode", SYNC_MODES),
    ("managedclusters", "spec.syncMode", SYNC_MODES),
    ("managedclusters", "status.conditions.0.status", ["True", "False", "Unknown"]),
    ("subscriptions", "status.conditions.0.status", ["True", "False", "Unknown"]),
    ("descriptions", "status.conditions.0.status", ["True", "False", "Unknown"]),
    ("subscriptions", "spec.schedulingStrategy", ["Replication", "Dividing"]),
    ("subscriptions", "spec.dividingScheduling.type", ["Static", "Dynamic"]),
    ("subscriptions", "spec.dividingScheduling.dynamicDividing.strategy", ["Spread", "Binpack"]),
    ("subscriptions", "spec.preemptionPolicy", ["PreemptLowerPriority", "PreemptNever"]),
    ("helmcharts", "status.phase", ["Found", "NotFound"]),
    ("globalizations", "spec.overridePolicy", ["ApplyNow", "ApplyLater"]),
    ("globalizations", "spec.overrides.0.type", OVERRIDE_TYPES),
    ("globalizations", "spec.overrides.0.fieldFormat", ["YAML", "JSON"]),
    ("localizations", "spec.overridePolicy", ["ApplyNow", "ApplyLater"]),
    ("localizations", "spec.overrides.0.type", OVERRIDE_TYPES),
    ("localizations", "spec.overrides.0.fieldFormat", ["YAML", "JSON"]),
    ("descriptions", "spec.deployer", ["Helm", "Generic"]),
    ("descriptions", "status.phase", PHASES),
    ("serviceexports", "status.conditions.0.status", ["True", "False", "Unknown"]),
    ("serviceimports", "spec.type", ["ClusterSetIP", "Headless"]),
    ("nodefeaturerules", "spec.rules.0.matchFeatures.0.matchExpressions.AVX512F.op", FEATURE_OPERATORS),
    ("nodefeaturerules", "spec.rules.0.matchAny.0.matchFeatures.0.matchExpressions.AVX512F.op", FEATURE_OPERATORS),
]

# What is not an enum in the schema must take any word.
FREE_WORDS = [
    ("clusterregistrationrequests", "spec.clusterType"),
    ("clusterregistrationrequests", "status.result"),
    ("managedclusters", "spec.clusterType"),
    ("managedclusters", "spec.taints.0.effect"),
    ("managedclusters", "status.conditions.0.type"),
    ("subscriptions", "spec.schedulerName"),
    ("subscriptions", "spec.clusterTolerations.0.effect"),
    ("subscriptions", "spec.clusterTolerations.0.operator"),
    ("helmreleases", "status.phase"),
    ("helmreleases", "status.firstDeployed"),
    ("serviceimports", "spec.sessionAffinity"),
]

# Patterns are unanchored: a fitting part is enough (spec/01 §1, general rules).
IDS = ([ID, ID.upper(), f"x-{ID}-y"], ["", "2f1c7a54", ID.replace("-", ""), ID.replace("a", "g")])
NAMES = (["a1", "berlin", "UPPER-a1", "b" * 30], ["", "A", "--", "b" * 31])
REASONS = (["A", "Ready_1,2:x", "r" * 1024], ["", "1", "has space", "ends-", "r" * 1025])
CONDITION_TYPES = (["Ready", "example.com/Ready", "t" * 316], ["", "a b", "-a", "t" * 317])
MESSAGES = (["", "m" * 32768], ["m" * 32769])
REPOS = (
    ["https://charts.example.com", "http://h/p", "oci://r.example.com/c", "://x", "https://a%20b"],
    ["", "charts.example.com", "ftp://charts.example.com", "https://", "https://a b"],
)
NOT_NEGATIVE = ([0, 1, 2**31 - 1], [-1])
BASE64 = (["e30="], ["", "%"])
VALUES: list[tuple[str, str, tuple[list[Any], list[Any]]]] = [
    ("clusterregistrationrequests", "spec.clusterId", IDS),
    ("clusterregistrationrequests", "spec.clusterName", NAMES),
    ("clusterregistrationrequests", "spec.clusterNamespace", (["a", "UPPER-a", "n" * 63], ["", "A", "n" * 64])),
    ("clusterregistrationrequests", "status.token", BASE64),
    ("clusterregistrationrequests", "status.caCertificate", BASE64),
    ("managedclusters", "spec.clusterId", IDS),
    ("managedclusters", "spec.clusterInitBaseName", (["b" * 512], ["b" * 513])),
    ("managedclusters", "spec.taints.0.timeAdded", (["2026-01-02T03:04:05Z"], ["yesterday"])),
    ("managedclusters", "status.lastObservedTime", (["2026-01-02T03:04:05Z"], ["yesterday"])),
    ("managedclusters", "status.kubeQPS", ([50, 0.5], ["50"])),
    ("managedclusters", "status.heartbeatFrequencySeconds", ([2**31, 2**63 - 1], [2**63])),
    ("managedclusters", "status.allocatable.cpu", (["250m", 2, "1e3", "0.5Gi"], ["much", "1 Gi", ""])),
    ("managedclusters", "status.capacity.memory", (["250m", 2, "1e3", "0.5Gi"], ["much", "1 Gi", ""])),
    ("managedclusters", "status.resourceUsage.cpuUsage", (["250m", 2], ["much"])),
    ("managedclusters", "status.resourceUsage.memoryUsage", (["1Gi", 2], ["much"])),
    *(
        (kind, f"status.conditions.0.{field}", values)
        for kind in ("managedclusters", "subscriptions", "descriptions")
        for field, values in (
            ("type", CONDITION_TYPES),
            ("reason", REASONS),
            ("message", MESSAGES),
            ("lastTransitionTime", (["2026-01-02T03:04:05Z"], ["yesterday"])),
            ("observedGeneration", NOT_NEGATIVE),
        )
    ),
    ("subscriptions", "spec.subscribers.0.weight", NOT_NEGATIVE),
    ("subscriptions", "spec.subscribers.0.subGroupStrategy.minClusters", NOT_NEGATIVE),
    ("subscriptions", "spec.subscribers.0.clusterAffinity", ([{}], [[]])),
    ("subscriptions", "status.specHash", ([-(2**63), 2**63 - 1], [2**63])),
    ("subscriptions", "status.replicas", ([{"a": []}, {"a": [0, 2**31 - 1]}], [{"a": 1}, {"a": ["1"]}])),
    ("subscriptions", "status.aggregatedStatuses.0.feedStatusDetails.0.clusterId", IDS),
    ("subscriptions", "status.aggregatedStatuses.0.feedStatusDetails.0.clusterName", NAMES),
    ("helmcharts", "spec.repo", REPOS),
    ("manifests", "template", ([{}, {"kind": "Pod", "spec": {"containers": []}}], [[], "text"])),
    ("globalizations", "spec.priority", ([0, 1000], [-1, 1001])),
    ("localizations", "spec.priority", ([0, 1000], [-1, 1001])),
    ("feedinventories", "spec.feeds.0.replicaRequirements.resources.limits.cpu", (["250m", 2], ["much"])),
    ("feedinventories", "spec.feeds.0.replicaRequirements.resources.requests.cpu", (["250m", 2], ["much"])),
    ("descriptions", "spec.raw.0", BASE64),
    ("descriptions", "spec.chartRaw.0", BASE64),
    ("helmreleases", "spec.repo", REPOS),
    ("helmreleases", "spec.overrides", BASE64),
    ("descriptions", "status.observedGeneration", NOT_NEGATIVE),
    ("helmcharts", "status.observedGeneration", NOT_NEGATIVE),
    ("helmreleases", "status.observedGeneration", NOT_NEGATIVE),
    ("serviceexports", "status.conditions.0.reason", REASONS),
    ("serviceimports", "spec.ips", ([[], ["10.0.0.1"]], [["10.0.0.1", "10.0.0.2"]])),
    ("serviceimports", "spec.ports.0.port", ([80], ["http"])),
]

DEFAULTS = [
    ("clusterregistrationrequests", {"spec": {"clusterId": ID}}, "spec.syncMode", "Pull"),
    ("subscriptions", LEAST["subscriptions"], "spec.schedulerName", "default"),
    ("subscriptions", LEAST["subscriptions"], "spec.schedulingStrategy", "Replication"),
    ("subscriptions", LEAST["subscriptions"], "spec.preemptionPolicy", "PreemptLowerPriority"),
    ("helmcharts", LEAST["helmcharts"], "spec.createNamespace", True),
    ("helmcharts", LEAST["helmcharts"], "spec.timeoutSeconds", 300),
    ("globalizations", LEAST["globalizations"], "spec.overridePolicy", "ApplyLater"),
    ("globalizations", LEAST["globalizations"], "spec.priority", 500),
    ("localizations", LEAST["localizations"], "spec.overridePolicy", "ApplyLater"),
    ("localizations", LEAST["localizations"], "spec.priority", 500),
    ("helmreleases", LEAST["helmreleases"], "spec.createNamespace", True),
    ("helmreleases", LEAST["helmreleases"], "spec.timeoutSeconds", 300),
]

NO_DEFAULTS = {
    "managedclusters": LEAST["managedclusters"],
    "bases": LEAST["bases"],
    "descriptions": LEAST["descriptions"],
    "feedinventories": LEAST["feedinventories"],
    "serviceimports": LEAST["serviceimports"],
    "nodefeaturerules": LEAST["nodefeaturerules"],
}

# (plural, where a field that nobody knows is put, whether it stays)
UNKNOWN_FIELDS = [
    *((plural, "", False) for plural in KINDS),
    *((plural, "spec", False) for plural, sample in SAMPLES.items() if "spec" in sample),
    *((plural, "status", False) for plural, sample in SAMPLES.items() if "status" in sample),
    ("manifests", "template", True),
    ("manifests", "template.metadata", True),
    ("descriptions", "status.manifestStatuses.0", False),
    ("descriptions", "status.manifestStatuses.0.observedStatus", True),
    ("subscriptions", "spec.feeds.0", False),
    ("feedinventories", AFFINITY, False),
]


def steps(path: str) -> list[str | int]:
    return [int(step) if step.isdigit() else step for step in path.split(".") if step]


def pick(body: Any, path: list[str | int]) -> Any:
    for step in path:
        body = body[step]
    return body


def changed(body: dict[str, Any], path: list[str | int], value: Any) -> dict[str, Any]:
    """Return a copy of `body` with the value at `path` replaced, or removed when it is GONE."""
    body = copy.deepcopy(body)
    *parents, last = path
    parent = pick(body, parents)
    if value is GONE:
        del parent[last]
    else:
        parent[last] = value
    return body


def dotted(path: list[str | int]) -> str:
    """Write a path as the API server names fields."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")


def leaves(value: Any, path: list[str | int]) -> Iterator[tuple[list[str | int], Any]]:
    """Walk all scalars of `value`."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, [*path, key])
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from leaves(item, [*path, index])
    else:
        yield path, value


class Server:
    """Sends bodies of one kind to the API server for judgement; nothing but the stored object of the kind is kept."""

    def __init__(self, api: Callable[..., Any], applied: dict[str, Any]) -> None:
        self.api = api
        self.applied = applied
        self.stored: dict[str, dict[str, Any]] = {}

    def path(self, plural: str, name: str = "", subresource: str = "") -> str:
        spec = self.applied[plural]["source"]["spec"]
        prefix = f"/apis/{spec['group']}/{spec['versions'][0]['name']}"
        namespace = "/namespaces/default" if KINDS[plural].namespaced else ""
        return "/".join(part for part in (f"{prefix}{namespace}", plural, name, subresource) if part)

    def body(self, plural: str, content: dict[str, Any], name: str = "judged") -> dict[str, Any]:
        sample = SAMPLES[plural]
        return {
            "apiVersion": sample["apiVersion"],
            "kind": sample["kind"],
            **content,
            "metadata": {"name": f"crd-test-{name}"},
        }

    def judge(self, plural: str, content: dict[str, Any], validation: str = "Strict") -> tuple[int, dict[str, Any]]:
        """Dry-run the creation of an object, and of its status where that is a subresource."""
        query = {"dryRun": "All", "fieldValidation": validation}
        main = {key: value for key, value in content.items() if key != "status" or not KINDS[plural].status}
        status, answer, _ = self.api("POST", self.path(plural), self.body(plural, main), **query)
        if status == 201 and "status" in content and KINDS[plural].status:
            stored = {**self.store(plural), "status": content["status"]}
            status, answer, _ = self.api("PUT", self.path(plural, "crd-test-stored", "status"), stored, **query)
            return (201 if status == 200 else status), answer
        return status, answer

    def store(self, plural: str) -> dict[str, Any]:
        """Return the stored object of a kind; it is created at the first call."""
        if plural not in self.stored:
            self.api("DELETE", self.path(plural, "crd-test-stored"))
            status, answer, _ = self.api("POST", self.path(plural), self.body(plural, LEAST[plural], "stored"))
            assert status == 201, answer
            self.stored[plural] = answer
        return copy.deepcopy(self.stored[plural])


@pytest.fixture(scope="module")
def server(api, applied) -> Iterator[Server]:
    server = Server(api, applied)
    yield server
    for plural in server.stored:
        api("DELETE", server.path(plural, "crd-test-stored"))


def refusal(answer: dict[str, Any]) -> set[str]:
    return {cause.get("field", "") for cause in answer.get("details", {}).get("causes", [])}


@pytest.mark.parametrize("plural", KINDS)
def test_crd_is_established_without_complaints(applied, plural):
    crd = applied[plural]
    assert crd["file"] == f"{crd['source']['spec']['group']}_{plural}.yaml"
    assert crd["warnings"] == ""
    assert crd["conditions"] == {"Established": "True", "NamesAccepted": "True"}
    assert [(v["served"], v["storage"]) for v in crd["object"]["spec"]["versions"]] == [(True, True)]


def test_no_other_crds_are_shipped(applied):
    assert set(applied) == set(KINDS)


@pytest.mark.parametrize("plural", KINDS)
def test_discovery(api, server, plural):
    expected, sample = KINDS[plural], SAMPLES[plural]
    _, found, _ = api("GET", f"/apis/{sample['apiVersion']}")
    resources = {r["name"]: r for r in found["resources"]}
    resource = resources[plural]
    assert resource["kind"] == sample["kind"] == expected.kind
    assert resource["singularName"] == expected.kind.lower()
    assert resource["namespaced"] is expected.namespaced
    assert resource.get("shortNames", []) == expected.short
    assert resource.get("categories", []) == expected.categories
    assert {name for name in resources if name.startswith(f"{plural}/")} == (
        {f"{plural}/status"} if expected.status else set()
    )


@pytest.mark.parametrize("plural", KINDS)
def test_columns(api, server, plural):
    _, table, _ = api("GET", server.path(plural), accept="application/json;as=Table;v=v1;g=meta.k8s.io")
    columns = [c["name"] + (f" {c['priority']}" if c["priority"] else "") for c in table["columnDefinitions"][1:]]
    assert columns == KINDS[plural].columns


def test_cells_of_a_managed_cluster(api, server):
    stored = server.store("managedclusters")
    status = SAMPLES["managedclusters"]["status"]
    path = server.path("managedclusters", "crd-test-stored", "status")
    _, server.stored["managedclusters"], _ = api("PUT", path, {**stored, "status": status})
    _, table, _ = api(
        "GET",
        server.path("managedclusters", "crd-test-stored"),
        accept="application/json;as=Table;v=v1;g=meta.k8s.io",
    )
    cells = table["rows"][0]["cells"]
    assert cells[:1] + cells[1:2] + cells[3:6] == ["crd-test-stored", ID, "Pull", "v1.34.4", "True"]
    assert cells[7] == "v0.1.0"


@pytest.mark.parametrize("plural", KINDS)
def test_every_field_is_described(applied, plural):
    schema = applied[plural]["source"]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    bare = [path for path, field in _fields(schema, "") if not field.get("description") and path != ".metadata"]
    assert bare == []


def _fields(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, field in schema.get("properties", {}).items():
        yield f"{path}.{name}", field
        yield from _fields(field, f"{path}.{name}")
    for inner in ("items", "additionalProperties"):
        if isinstance(schema.get(inner), dict):
            yield from _fields(schema[inner], f"{path}[]")


@pytest.mark.parametrize("plural", KINDS)
def test_sample_uses_every_field(applied, plural):
    schema = applied[plural]["source"]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    known = {path for path, _ in _fields(schema, "")} - {".metadata"}
    assert known - set(_used(SAMPLES[plural], schema, "")) == set()


def _used(value: Any, schema: dict[str, Any], path: str) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _used(item, schema["items"], f"{path}[]")
    elif isinstance(value, dict):
        for key, item in value.items():
            if key in schema.get("properties", {}):
                yield f"{path}.{key}"
                yield from _used(item, schema["properties"][key], f"{path}.{key}")
            elif isinstance(schema.get("additionalProperties"), dict):
                yield from _used(item, schema["additionalProperties"], f"{path}[]")


@pytest.mark.parametrize("plural", KINDS)
def test_complete_object_is_kept_whole(server, plural):
    status, answer = server.judge(plural, SAMPLES[plural])
    assert status == 201, answer
    part = "status" if KINDS[plural].status else "template" if plural == "manifests" else "spec"
    assert answer[part] == SAMPLES[plural][part]


@pytest.mark.parametrize("plural", KINDS)
def test_least_object_is_taken(server, plural):
    status, answer = server.judge(plural, LEAST[plural])
    assert status == 201, answer


def rows(table: dict[str, list[str]]) -> list[Any]:
    return [pytest.param(plural, path, id=f"{plural}-{path}") for plural, paths in table.items() for path in paths]


@pytest.mark.parametrize(("plural", "path"), rows(REQUIRED))
def test_required(server, plural, path):
    status, answer = server.judge(plural, changed(SAMPLES[plural], steps(path), GONE))
    assert status == 422, answer
    assert dotted(steps(path)) in refusal(answer)


@pytest.mark.parametrize(("plural", "path"), rows(DEFAULTED_REQUIRED))
def test_required_but_defaulted(server, plural, path):
    status, answer = server.judge(plural, changed(SAMPLES[plural], steps(path), GONE))
    assert status == 201, answer


@pytest.mark.parametrize(
    ("plural", "path"), rows({k: [*v, *DEFAULTED_REQUIRED.get(k, [])] for k, v in REQUIRED.items()})
)
def test_required_is_in_the_schema(applied, plural, path):
    """Also where a default would fill the field, `kubectl explain` must call it required."""
    schema = applied[plural]["source"]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    *parents, last = steps(path)
    for step in parents:
        schema = (
            schema["items"]
            if isinstance(step, int)
            else schema.get("properties", {}).get(step) or schema["additionalProperties"]
        )
    assert last in schema["required"]


@pytest.mark.parametrize("plural", KINDS)
def test_nothing_else_is_required(applied, plural):
    schema = applied[plural]["source"]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    table = [*REQUIRED[plural], *DEFAULTED_REQUIRED.get(plural, [])]
    listed = {
        ".".join("[]" if step.isdigit() else step for step in path.split(".")).replace(".[]", "[]") for path in table
    }
    listed = {f".{path}".replace(".AVX512F", "[]") for path in listed}
    found = {
        f"{path}.{name}" for path, field in [("", schema), *_objects(schema, "")] for name in field.get("required", [])
    }
    assert found == listed


def _objects(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Walk all objects below a schema, list items and map values among them."""
    for name, field in schema.get("properties", {}).items():
        yield f"{path}.{name}", field
        yield from _objects(field, f"{path}.{name}")
    for inner in ("items", "additionalProperties"):
        if isinstance(schema.get(inner), dict):
            yield f"{path}[]", schema[inner]
            yield from _objects(schema[inner], f"{path}[]")


INT64 = {"heartbeatFrequencySeconds", "observedGeneration", "specHash", "tolerationSeconds"}
UNSIZED = {"desiredReleases", "completedReleases", "version"}


@pytest.mark.parametrize("plural", KINDS)
def test_sizes_of_numbers(applied, plural):
    schema = applied[plural]["source"]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    sizes = {
        path.rpartition(".")[2]: field.get("format")
        for path, field in _objects(schema, "")
        if field.get("type") == "integer"
    }
    assert sizes == {name: "int64" if name in INT64 else None if name in UNSIZED else "int32" for name in sizes}


WRONG = {str: 7, bool: "x", int: "x", float: "x"}


@pytest.mark.parametrize(
    ("plural", "path", "value"),
    [
        pytest.param(plural, path, value, id=f"{plural}-{dotted(path)}")
        for plural, sample in SAMPLES.items()
        for part in ("spec", "status")
        for path, value in leaves(sample.get(part, {}), [part])
        if "observedStatus" not in path
    ],
)
def test_type(server, plural, path, value):
    quantity = {"allocatable", "capacity", "resourceUsage", "limits", "requests"} & set(path)
    wrong = ["x"] if quantity else WRONG[type(value)]
    status, answer = server.judge(plural, changed(SAMPLES[plural], path, wrong))
    assert status == 422, answer
    assert any(field.startswith(dotted(path)) for field in refusal(answer)), answer


@pytest.mark.parametrize(("plural", "path", "words"), [pytest.param(*row, id=f"{row[0]}-{row[1]}") for row in ENUMS])
def test_enum(server, plural, path, words):
    for word in words:
        status, answer = server.judge(plural, changed(SAMPLES[plural], steps(path), word))
        assert status == 201, answer
    for word in ["", words[0].lower(), "Never"]:
        status, answer = server.judge(plural, changed(SAMPLES[plural], steps(path), word))
        assert status == 422, answer
        assert dotted(steps(path)) in refusal(answer)


@pytest.mark.parametrize(("plural", "path"), FREE_WORDS)
def test_not_an_enum(server, plural, path):
    status, answer = server.judge(plural, changed(SAMPLES[plural], steps(path), "Other"))
    assert status == 201, answer


@pytest.mark.parametrize(("plural", "path", "values"), [pytest.param(*row, id=f"{row[0]}-{row[1]}") for row in VALUES])
def test_value(server, plural, path, values):
    taken, refused = values
    for value in taken:
        status, answer = server.judge(plural, changed(SAMPLES[plural], steps(path), value))
        assert status == 201, (value, answer)
    for value in refused:
        status, answer = server.judge(plural, changed(SAMPLES[plural], steps(path), value))
        assert status == 422, (value, answer)
        assert any(field.startswith(dotted(steps(path))) for field in refusal(answer)), (value, answer)


@pytest.mark.parametrize(("plural", "least", "path", "default"), DEFAULTS)
def test_default(server, plural, least, path, default):
    status, answer = server.judge(plural, least)
    assert status == 201, answer
    assert pick(answer, steps(path)) == default


def test_defaults_of_dividing(server):
    least = changed(LEAST["subscriptions"], ["spec", "dividingScheduling"], {"dynamicDividing": {}})
    status, answer = server.judge("subscriptions", least)
    assert status == 201, answer
    assert answer["spec"]["dividingScheduling"] == {"type": "Static", "dynamicDividing": {"strategy": "Spread"}}


@pytest.mark.parametrize(("plural", "least"), NO_DEFAULTS.items())
def test_no_default(server, plural, least):
    status, answer = server.judge(plural, least)
    assert status == 201, answer
    assert answer["spec"] == least["spec"]


@pytest.mark.parametrize(("plural", "path", "stays"), UNKNOWN_FIELDS)
def test_unknown_field(server, plural, path, stays):
    parts = {"status", *LEAST[plural]} if path.startswith("status") else set(SAMPLES[plural]) - {"status"}
    body = {key: copy.deepcopy(value) for key, value in SAMPLES[plural].items() if key in parts}
    pick(body, steps(path))["unknownField"] = {"a": [1]}
    status, answer = server.judge(plural, body, validation="Ignore")
    assert status == 201, answer
    assert ("unknownField" in pick(answer, steps(path))) is stays


@pytest.mark.parametrize("plural", [plural for plural in KINDS if "status" in SAMPLES[plural]])
def test_status_is_a_subresource(api, server, plural):
    stored = server.store(plural)
    status = SAMPLES[plural]["status"]
    _, created, _ = api(
        "POST", server.path(plural), server.body(plural, {**LEAST[plural], "status": status}), dryRun="All"
    )
    assert "status" not in created
    path = server.path(plural, "crd-test-stored")
    code, updated, _ = api("PUT", path, {**stored, "status": status}, dryRun="All")
    assert code == 200, updated
    assert updated.get("status") == stored.get("status")
    code, updated, _ = api(
        "PUT", f"{path}/status", {**stored, "spec": SAMPLES[plural].get("spec"), "status": status}, dryRun="All"
    )
    assert code == 200, updated
    assert updated["status"] == status
    assert updated.get("spec") == stored.get("spec")


@pytest.mark.parametrize("plural", [plural for plural in KINDS if not KINDS[plural].status])
def test_no_status_subresource(api, server, plural):
    server.store(plural)
    assert api("GET", server.path(plural, "crd-test-stored", "status"))[0] == 404


@pytest.mark.parametrize(
    ("before", "after", "refused"),
    [
        (None, None, False),
        (None, "init", False),
        ("init", "init", False),
        ("init", "other", True),
        ("init", "", True),
        ("init", None, True),
    ],
)
def test_init_base_name_is_immutable(api, server, before, after, refused):
    def named(value: str | None) -> dict[str, Any]:
        spec = {"clusterId": ID, "syncMode": "Pull", **({} if value is None else {"clusterInitBaseName": value})}
        return server.body("managedclusters", {"spec": spec}, "immutable")

    path = server.path("managedclusters", "crd-test-immutable")
    api("DELETE", path)
    code, created, _ = api("POST", server.path("managedclusters"), named(before))
    assert code == 201, created
    code, answer, _ = api("PUT", path, {**created, "spec": named(after)["spec"]})
    api("DELETE", path)
    assert code == (422 if refused else 200), answer
    if refused:
        assert refusal(answer) <= {"spec", "spec.clusterInitBaseName"}


def test_condition_types_are_unique_where_the_list_is_a_map(server):
    """The lists of ServiceExport and ServiceImport are keyed (spec/01 §4), those of ManagedCluster are not."""
    for plural, path, taken in [
        ("serviceexports", "status.conditions", False),
        ("serviceimports", "status.clusters", False),
        ("managedclusters", "status.conditions", True),
    ]:
        twice = pick(SAMPLES[plural], steps(path)) * 2
        status, answer = server.judge(plural, changed(SAMPLES[plural], steps(path), twice))
        assert status == (201 if taken else 422), answer
