"""Objects as somebody may write them who means harm: whatever a CustomResourceDefinition lets through, and no more.

The schemas of the role `hub` say what an API server refuses; metadata it checks by itself. Everything else may hold any
JSON, so that is what these strategies put there, preferably under names that somebody looks for.
"""

import base64
import json
from pathlib import Path
from typing import Any

import yaml
from clusternet_engine.kube.resources import Object
from hypothesis import strategies as st

_CRDS = Path(__file__).parents[2] / "roles" / "hub" / "files" / "crds"

NAMES = st.sampled_from(["a", "b", "c.d", "clusternet-1", "x" * 63])
"""Few, so that objects refer to each other."""
NAMESPACES = st.sampled_from(["default", "clusternet-1", "clusternet-2", "clusternet-reserved"])
UIDS = st.sampled_from(["uid-1", "uid-2", "uid-3"])
_TIMES = st.sampled_from(
    ["2026-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-02-28T23:59:59.123456789+14:00"]
)
_WORDS = [
    "apiVersion", "kind", "metadata", "name", "namespace", "spec", "status", "template", "conditions", "type", "reason",
    "message", "replicas", "readyReplicas", "availableReplicas", "updatedReplicas", "observedGeneration", "containers",
    "desiredNumberScheduled", "numberAvailable", "updatedNumberScheduled", "initContainers", "resources", "requests",
    "limits", "cpu", "labels", "annotations", "nodeSelector", "tolerations", "affinity", "phase", "data", "stringData",
    "feed", "values", "op", "path", "value", "info", "ownerReferences", "uid", "finalizers",
]  # fmt: skip
_TEXTS = st.sampled_from(
    [
        *("", " ", "a", "True", "False", "Failed", "Ready", "Success", "Deployment", "Job", "DaemonSet"),
        *("apps/v1", "v1", "batch/v1", "100m", "-1Ei", "1e999", "null", "[]", "{}", "a: &a [*a]", "{{"),
        *("https://[", "http://127.0.0.1:1/", "\x00", "ä" * 70, "9" * 5000, "v1.30.0", "-", ".", "/", "a/b/c/d"),
        *("eyJhIjoxfQ==", "true", "0"),
    ]
)
_NUMBERS = st.sampled_from([0, 1, -1, 3, 2**31 - 1, 2**63 - 1, -(2**63)])
json_values = st.recursive(
    st.none() | st.booleans() | _NUMBERS | st.floats(-1e300, 1e300) | _TEXTS | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_WORDS) | st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)
"""Any JSON."""
json_objects = st.dictionaries(st.sampled_from(_WORDS) | st.text(max_size=3), json_values, max_size=5)
native_objects = st.fixed_dictionaries(
    {},
    optional={
        "apiVersion": st.sampled_from(["v1", "apps/v1", "batch/v1"]) | json_values,
        "kind": st.sampled_from(["Deployment", "Job", "DaemonSet", "Secret", "ConfigMap"]) | json_values,
        "metadata": st.fixed_dictionaries({"name": NAMES}, optional={"namespace": NAMESPACES}) | json_values,
        "spec": json_values,
        "status": json_values,
    },
)
"""What should be a native object."""


def _labels(keys: st.SearchStrategy[str], values: st.SearchStrategy[str]) -> st.SearchStrategy[dict[str, str]]:
    return st.dictionaries(keys, values, max_size=6)


def metadata_of(name: str, namespace: str | None, keys: list[str], annotations: list[str]) -> st.SearchStrategy[Object]:
    """Return metadata as API servers let it through: its shape is right, its texts are anybody's.

    Args:
        name: of the object.
        namespace: of the object; None if it has none.
        keys: of labels that somebody looks for.
        annotations: likewise.
    """
    known = {"name": st.just(name)} | ({"namespace": st.just(namespace)} if namespace else {})
    label_values = st.sampled_from(
        ["", "a", "default", "clusternet-1", "uid-1", "uid-2", "Subscription", "Deployment", "v1", "Base"]
    )
    owner = st.fixed_dictionaries({"apiVersion": _TEXTS, "kind": _TEXTS | st.just("Base"), "name": NAMES, "uid": UIDS})
    return st.fixed_dictionaries(
        {
            **known,
            "uid": UIDS,
            "resourceVersion": st.integers(1, 10**6).map(str),
            "creationTimestamp": _TIMES,
            "generation": st.integers(1, 3),
        },
        optional={
            "labels": _labels(st.sampled_from([*keys, "env"]), label_values),
            "annotations": _labels(
                st.sampled_from([*annotations, "a"]),
                _TEXTS | json_values.map(json.dumps) | st.lists(json_values, max_size=2).map(json.dumps),
            ),
            "finalizers": st.lists(st.sampled_from(["apps.clusternet.io/finalizer", "a/b"]), max_size=2, unique=True),
            "ownerReferences": st.lists(owner, max_size=2),
            "deletionTimestamp": _TIMES,
        },
    )


def schema_of(plural: str) -> Object:
    """Return the schema of a CustomResourceDefinition of the role."""
    [file] = _CRDS.glob(f"*_{plural}.yaml")
    return dict(yaml.safe_load(file.read_text())["spec"]["versions"][0]["schema"]["openAPIV3Schema"])


def from_schema(schema: Object, key: str = "") -> st.SearchStrategy[Any]:
    """Return what a schema lets through."""
    if schema.get("x-kubernetes-int-or-string"):
        return st.integers(-(2**31), 2**63 - 1) | st.from_regex(schema.get("pattern", ""), fullmatch=True)
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        return json_objects | native_objects
    match schema.get("type"):
        case "object":
            return _from_object(schema)
        case "array":
            return st.lists(from_schema(schema["items"], key), min_size=schema.get("minItems", 0), max_size=3)
        case "string":
            return _from_text(schema, key)
        case "integer":
            small = schema.get("format") == "int32"
            lowest = schema.get("minimum", -(2**31) if small else -(2**63))
            highest = schema.get("maximum", 2**31 - 1 if small else 2**63 - 1)
            return st.integers(lowest, highest) | st.integers(max(lowest, 0), min(highest, 9))
        case "number":
            return st.floats(-1e300, 1e300)
        case "boolean":
            return st.booleans()
    return json_values


def _from_object(schema: Object) -> st.SearchStrategy[Any]:
    if isinstance(schema.get("additionalProperties"), dict):
        return st.dictionaries(
            _TEXTS | st.sampled_from(_WORDS), from_schema(schema["additionalProperties"]), max_size=3
        )
    properties = {key: from_schema(part, key) for key, part in (schema.get("properties") or {}).items()}
    required = set(schema.get("required") or ())
    return st.fixed_dictionaries(
        {key: value for key, value in properties.items() if key in required},
        optional={key: value for key, value in properties.items() if key not in required},
    )


def _from_text(schema: Object, key: str) -> st.SearchStrategy[str]:
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "pattern" in schema:
        return st.from_regex(schema["pattern"], fullmatch=True)
    match schema.get("format"):
        case "byte":
            anything = (
                st.binary(max_size=8)
                | json_values.map(json.dumps).map(str.encode)
                | native_objects.map(json.dumps).map(str.encode)
            )
            return (anything | st.just(b" ")).map(lambda data: base64.b64encode(data).decode())
        case "date-time":
            return _TIMES
    if key == "name":
        return NAMES | _TEXTS
    return NAMESPACES | _TEXTS if key == "namespace" else _TEXTS | st.text(max_size=5)


def custom_objects(
    plural: str, kind: str, api_version: str, *, namespaced: bool = True, labels: list[str], annotations: list[str]
) -> st.SearchStrategy[Object]:
    """Return objects of one of Clusternet's kinds.

    Args:
        plural, kind, api_version: of the kind.
        namespaced: whether it has namespaces.
        labels, annotations: keys that somebody looks for.
    """
    content = from_schema(schema_of(plural))
    places = st.tuples(NAMES, NAMESPACES if namespaced else st.none())
    return places.flatmap(
        lambda place: st.tuples(content, metadata_of(*place, labels, annotations)).map(
            lambda pair: {**pair[0], "apiVersion": api_version, "kind": kind, "metadata": pair[1]}
        )
    )
