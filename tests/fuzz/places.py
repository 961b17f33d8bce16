"""The places where foreign text comes in, each with the inputs that the fuzzer makes for it.

A `Target` makes an input out of random numbers and gives it to the reader of that place. The reader may return
anything, or refuse the input by one of its own errors; everything else is a fault. docs/security.md lists the same
places, and a test compares the two.
"""

from __future__ import annotations

import base64
import gzip
import json
import random
import socket
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import material
from clusternet_engine.deploy import archives, releases, repositories
from clusternet_engine.hub import predictors
from clusternet_engine.hub.api import patches, requests
from clusternet_engine.kube import errors, watch
from clusternet_engine.kube.client import PatchType
from clusternet_engine.kube.config import ClusterConfig, ConfigError
from clusternet_engine.model import (
    addresses,
    aggregation,
    applied,
    documents,
    drift,
    helm_records,
    overrides,
    peers,
    proxying,
    registration,
    rendering,
)
from clusternet_engine.model import descriptions as description_rules
from clusternet_engine.model.charts import ChartMissing
from clusternet_engine.model.feeds import feed_reference

Chance = random.Random
CONFIG_MAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "b"}, "data": {"k": "v"}}
DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "labels": {"app": "web"}},
    "spec": {"replicas": 2, "template": {"spec": {"containers": [{"name": "main", "image": "nginx", "args": ["-v"]}]}}},
}
CHART = {
    "apiVersion": "apps.clusternet.io/v1alpha1",
    "kind": "HelmChart",
    "metadata": {"name": "c", "namespace": "d", "generation": 1},
    "spec": {"repo": "https://charts.example.org", "chart": "c", "version": "1.0.0", "targetNamespace": "t"},
    "status": {"phase": "Found"},
}
CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "a.b"},
    "spec": {},
}
STATUS = {
    "replicas": 2,
    "readyReplicas": 1,
    "observedGeneration": 1,
    "conditions": [{"type": "Failed", "status": "True", "reason": "r", "message": "m"}],
}
KUBECONFIG = {
    "apiVersion": "v1",
    "kind": "Config",
    "current-context": "a",
    "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a", "namespace": "n"}}],
    "clusters": [{"name": "a", "cluster": {"server": "https://h:1", "certificate-authority-data": "eA=="}}],
    "users": [{"name": "a", "user": {"token": "t", "exec": {"command": "c", "env": [{"name": "a", "value": "b"}]}}}],
}
INDEX = {
    "apiVersion": "v1",
    "entries": {"c": [{"name": "c", "version": "1.0.0", "urls": ["c-1.0.0.tgz"], "digest": "ab", "type": "library"}]},
}
RECORD = {
    "version": 1,
    "info": {"status": "deployed", "first_deployed": "2024-01-01T00:00:00Z", "notes": "n"},
    "chart": {"metadata": {"name": "c", "version": "1.0.0"}},
    "config": {"a": 1},
}
_KINDS = tuple(PatchType)
_FEED = {"apiVersion": "v1", "kind": "ConfigMap", "namespace": "b", "name": "a"}


@dataclass(frozen=True)
class Target:
    """One place.

    Attributes:
        name: of the place, as in the table of docs/security.md.
        make: makes an input.
        read: gives it to the reader.
        refusals: errors by which the reader refuses an input.
    """

    name: str
    make: Callable[[Chance], Any]
    read: Callable[[Any], object]
    refusals: tuple[type[Exception], ...] = ()


TARGETS: dict[str, Target] = {}


def place(
    name: str, make: Callable[[Chance], Any], *refusals: type[Exception]
) -> Callable[[Callable[[Any], object]], Callable[[Any], object]]:
    """Put a reader onto the list of places."""

    def listed(read: Callable[[Any], object]) -> Callable[[Any], object]:
        TARGETS[name] = Target(name, make, read, refusals)
        return read

    return listed


def text_of(example: Any) -> Callable[[Chance], str]:
    """Return what makes YAML or JSON of an example, as text."""
    return lambda chance: material.yaml_text(chance, example).decode("utf-8", "replace")


@place("values of overrides", text_of({"data": {"k": "v"}}), documents.DocumentError)
def read_documents(text: str) -> object:
    value = documents.read_document(text)
    json.dumps(value, allow_nan=False)
    return value


def _patch(chance: Chance) -> tuple[PatchType, bytes]:
    kind = chance.choice(_KINDS)
    if kind is PatchType.JSON:
        return kind, material.json_text(chance, material.json_patch(chance, DEPLOYMENT))
    if kind is PatchType.APPLY:
        return kind, material.yaml_text(chance, DEPLOYMENT)
    return kind, material.json_text(chance, {"metadata": {"labels": {"a": "b", "c": None}}, "spec": {"replicas": 3}})


@place("bodies and patches of the shadow API", _patch, errors.ApiError)
def read_patches(sent: tuple[PatchType, bytes]) -> object:
    kind, body = sent
    patch = patches.read_patch(kind, body)
    return patch if kind is PatchType.APPLY else patches.patched(DEPLOYMENT, kind, patch, None)


def _overrides(chance: Chance) -> list[overrides.Override]:
    entries = []
    for _ in range(chance.randrange(1, 4)):
        kind = chance.choice(("Helm", "JSONPatch", "MergePatch", "FieldJSONPatch", "FieldMergePatch"))
        patch = material.json_patch(chance, DEPLOYMENT) if "JSON" in kind else material.varied(chance, {"a": {"b": 1}})
        text = json.dumps(patch) if chance.random() < 0.7 else text_of(patch)(chance)
        entry = {"name": "o", "type": kind, "value": text, "overrideChart": chance.random() < 0.2}
        if kind.startswith("Field"):
            entry["fieldPath"] = chance.choice(("/spec/template", "/metadata/labels/app", "", "/data/k", "x", "/a//b"))
            entry["fieldFormat"] = chance.choice(("YAML", "JSON", "", "XML"))
        entries.append(entry)
    return [overrides.Override("Localization a/b", entries)]


@place(
    "overrides laid over native objects",
    lambda chance: (_overrides(chance), chance.choice((DEPLOYMENT, CONFIG_MAP))),
    overrides.OverrideError,
)
def override_natives(made: tuple[list[overrides.Override], Any]) -> object:
    return overrides.override_native(made[1], made[0])


@place("overrides laid over charts", _overrides, overrides.OverrideError)
def override_charts(made: list[overrides.Override]) -> object:
    return overrides.override_chart(CHART, made)


@place("templates of Manifests", lambda chance: (material.varied(chance, DEPLOYMENT), _overrides(chance)))
def render_manifests(made: tuple[Any, list[overrides.Override]]) -> object:
    labels = {
        "apps.clusternet.io/config.kind": "ConfigMap",
        "apps.clusternet.io/config.name": "a",
        "apps.clusternet.io/config.namespace": "b",
        "apps.clusternet.io/config.version": "v1",
    }
    metadata = {"name": "configmaps.b.a", "namespace": "clusternet-reserved", "labels": labels}
    manifest = {"kind": "Manifest", "metadata": metadata, "template": made[0]}
    head = {"kind": "Localization", "metadata": {"name": "l", "namespace": "n"}}
    localization = {**head, "spec": {"feed": _FEED, "overrides": list(made[1][0].entries)}}
    return rendering.render([_FEED], lambda feed: [manifest], [localization], [], [{}])


def _statuses(chance: Chance) -> Any:
    observed = material.varied(chance, STATUS)
    return [{**_FEED, "feedStatus": {}, "observedStatus": observed}]


@place("statuses of Descriptions", _statuses)
def aggregate_statuses(statuses: Any) -> object:
    annotations = {"apps.clusternet.io/rendered-feeds": json.dumps([feed_reference(_FEED)])}
    metadata = {"name": "b-generic", "namespace": "n", "generation": 1, "annotations": annotations}
    description = {
        "metadata": metadata,
        "spec": {"deployer": "Generic", "raw": [base64.b64encode(json.dumps(CONFIG_MAP).encode()).decode()]},
        "status": {"phase": "Success", "manifestStatuses": statuses},
    }
    base = {"metadata": {"name": "b", "namespace": "n"}, "spec": {"feeds": [_FEED]}}
    cluster = {"metadata": {"name": "c", "namespace": "n"}, "status": {}}
    state = aggregation.ClusterState("c", "id", cluster, base, [description], {})
    subscription = {"metadata": {"name": "s", "generation": 1}, "spec": {"feeds": [_FEED]}, "status": {}}
    return aggregation.aggregate(subscription, [state], lambda feed: [{"kind": "Manifest"}], datetime.now(UTC))


@place("contents of Descriptions", lambda chance: [material.encoded(chance, material.json_text(chance, CONFIG_MAP))],
       applied.MalformedObject)  # fmt: skip
def read_contents(raw: list[str]) -> object:
    description_rules.decode(raw[0])
    return applied.parse_objects(raw)


@place(
    "annotations that remember what was applied",
    lambda chance: material.json_text(chance, [_FEED]).decode("utf-8", "replace"),
)
def read_annotations(text: str) -> object:
    annotations = {
        applied.APPLIED_OBJECTS_ANNOTATION: text,
        "clusternet.io/last-applied-configuration": text,
        "apps.clusternet.io/rendered-feeds": text,
    }
    obj = {
        "metadata": {"name": "a", "namespace": "b", "annotations": annotations},
        "spec": {"deployer": "Generic", "raw": ["e30="]},
    }
    return applied.remembered(obj), description_rules.rendered_feeds(obj)


def _event(chance: Chance) -> list[bytes]:
    event = {
        "type": "MODIFIED",
        "object": {**CONFIG_MAP, "metadata": {**CONFIG_MAP["metadata"], "resourceVersion": "7"}},
    }
    text = material.json_text(chance, event) + b"\n"
    cut = chance.randrange(len(text))
    return [text[:cut], text[cut:]]


@place("events of watches", _event, watch.MalformedEvent, errors.ApiError)
def decode_events(chunks: list[bytes]) -> object:
    decoder = watch.WatchDecoder("/fuzz")
    return [event.resource_version for chunk in chunks for event in decoder.feed(chunk)]


_ERROR = {"kind": "Status", "code": 409, "reason": "AlreadyExists", "details": {"retryAfterSeconds": 1}, "message": "m"}


@place("answers of API servers", lambda chance: material.json_text(chance, _ERROR))
def read_answers(body: bytes) -> object:
    return str(errors.error_from_response("GET", "/x", 409, {"Retry-After": "x"}, body))


@place(
    "indexes of chart repositories",
    lambda chance: material.yaml_text(chance, INDEX),
    repositories.RepositoryFailed,
    ChartMissing,
)
def read_indexes(text: bytes) -> object:
    return repositories._find(text, "https://charts.example.org", "c", "")


def _archive(chance: Chance) -> bytes:
    chart = material.yaml_text(chance, {"apiVersion": "v2", "name": "c", "version": "1.0.0", "type": "application"})
    return material.archive(chance, chart, material.yaml_text(chance, CRD))


@place("archives of charts", _archive, archives.BadArchive)
def read_archives(content: bytes) -> object:
    return archives.read_archive(content)


@place("values of HelmReleases", lambda chance: material.encoded(chance, material.yaml_text(chance, {"a": {"b": 1}})),
       releases._BadValues)  # fmt: skip
def read_values(text: str) -> object:
    return releases._values(text)


def _helm_record(chance: Chance) -> dict[str, Any]:
    text = material.json_text(chance, RECORD)
    if chance.random() < 0.5:
        text = gzip.compress(text)
    return {
        "metadata": {"name": "sh.helm"},
        "data": {"release": base64.b64encode(material.encoded(chance, text).encode("latin-1")).decode()},
    }


@place("records of Helm", _helm_record)
def read_helm_records(secret: dict[str, Any]) -> object:
    return helm_records.newest_first([secret])


@place("kubeconfigs", lambda chance: material.json_text(chance, KUBECONFIG), ConfigError)
def read_kubeconfigs(text: bytes) -> object:
    with tempfile.NamedTemporaryFile() as file:
        file.write(text)
        file.flush()
        return ClusterConfig.from_kubeconfig(Path(file.name))


def _path(chance: Chance) -> str:
    parts = ("apis", "shadow", "v1alpha1", "namespaces",
             "a", "configmaps", "..", ".", "", "%2e%2e", "%2F", "%00", "proxy",
             "https", "10.0.0.1:8443", "[::1]:1", "h:99999", "direct", "x" * 300, "\u00fc", "%ff")  # fmt: skip
    return "/" + "/".join(chance.choice(parts) for _ in range(chance.randrange(12)))


@place("paths of requests", _path, ValueError)
def parse_paths(path: str) -> object:
    info = requests.parse_request("GET", path, {"watch": "x"})
    assert info.path == path
    return proxying.parse_proxy_path(path)


def _headers(chance: Chance) -> dict[str, Any]:
    text = material.encoded(chance, b"-----BEGIN CERTIFICATE-----")
    return {"url": f"https://{material.word(chance)}:{chance.choice(material.NUMBERS)}/{material.word(chance)}",
            "extra": {f"clusternet-{name}": (text,) for name in ("token", "certificate", "privatekey")}}  # fmt: skip


@place("addresses and credentials of children", _headers, ValueError)
def read_addresses(made: dict[str, Any]) -> object:
    proxying.child_credential(made["extra"])
    return proxying.direct_target(made["url"])


_HOSTS = (
    "127.0.0.1", "127.1", "0x7f.1", "2130706433", "0177.0.0.1", "0", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1",
    "::ffff:a9fe:a9fe", "169.254.169.254", "fe80::1%lo", "localhost", "LOCALHOST.", "10.0.0.1", "example.org",
)  # fmt: skip


def _address(chance: Chance) -> tuple[str, str, int]:
    host = chance.choice(_HOSTS)
    if chance.random() < 0.5:
        host = material.damaged(chance, host.encode()).decode("latin-1")
    url = chance.choice(("https://{}:6443", "https://{}", "http://{}/x?y=", "https://a@{}", "{}", "https://[{}]:1/#"))
    return url.format(host), host, chance.choice((0, 1, 443, 6443, 65535, 99999))


@place("addresses that others name", _address, ValueError)
def judge_addresses(made: tuple[str, str, int]) -> object:
    url, host, port = made
    rules = addresses.push_rule(addresses.parse_destinations("*")), addresses.repository_rule("hub")
    try:
        resolved = socket.inet_ntoa(socket.inet_aton(host))
    except (OSError, ValueError):
        resolved = host
    if resolved.startswith(("127.", "169.254.", "0.")):
        assert not any(rule.allows(host, resolved, port) for rule in rules), f"{host} is allowed"
    for rule in rules:
        rule.may_allow(host, port)
        rule.allows_name(host, port)
    return addresses.api_server_url(url)


_REQUEST = {
    "metadata": {"name": "clusternet-1"},
    "spec": {"clusterId": "1", "clusterName": "c", "clusterNamespace": "n", "clusterLabels": {"a": "b"}},
}


def _registration(chance: Chance) -> Any:
    spec = {
        key: material.word(chance) for key in ("clusterId", "clusterName", "clusterNamespace") if chance.random() < 0.8
    }
    return {
        **_REQUEST,
        "spec": {**_REQUEST["spec"], **spec, "clusterLabels": {material.word(chance): material.word(chance)}},
    }


@place("registration requests", _registration, registration.Obstacle)
def check_requests(request: Any) -> object:
    return registration.check_request(request, ("kube-system",))


@place("Leases of hubs", lambda chance: material.json_text(chance, {"id": "a", "host": "h", "port": 1, "token": "t"}))
def read_leases(text: bytes) -> object:
    spec = {"holderIdentity": text.decode("utf-8", "replace"), "leaseDurationSeconds": 15}
    return peers.read_peer({"metadata": {"name": "clusternet-hub-peer-a"}, "spec": spec})


@place("answers of predictors", lambda chance: material.json_text(chance, {"replicas": {"default": 3}}),
       predictors.PredictionFailed)  # fmt: skip
def read_predictions(body: bytes) -> object:
    return predictors._room(body)


@place(
    "objects found on children",
    lambda chance: (material.varied(chance, DEPLOYMENT), material.json_text(chance, DEPLOYMENT)),
)
def compare_drift(made: tuple[Any, bytes]) -> object:
    live = made[0] if isinstance(made[0], dict) else {}
    annotations = {"clusternet.io/last-applied-configuration": made[1].decode("utf-8", "replace")}
    return drift.needs_apply({**live, "metadata": {"name": "web", "annotations": annotations}}, DEPLOYMENT)
