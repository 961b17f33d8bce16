"""Logins to chart repositories: which Secret a chart may use, and what a child that pulls gets of it.

A HelmChart names a Secret in `chartPullSecret`. It may be one of the chart's own namespace, or one that somebody who
may write it has released for that namespace by a label. Both are judged by the namespace of the HelmChart, never by
what stands in a HelmRelease: that lies in the namespace of a cluster, whose child may be able to change it.

What the hub has rendered stands in an annotation of the Base, which no child can write: for each chart its Secret and
its repository. By that the hub knows which Secret it may read for a HelmRelease, and to which repository it may send
it. A child that pulls reads a copy in its own namespace, with nothing but the login in it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import orjson

from clusternet_engine.kube.resources import SECRETS, Object, make_key, split_key
from clusternet_engine.model import constants as names
from clusternet_engine.model.descriptions import helm_name
from clusternet_engine.model.documents import DocumentError, read_json
from clusternet_engine.model.feeds import is_chart
from clusternet_engine.model.releases import release_name
from clusternet_engine.model.rendering import RenderedChart, Rendering

_COPY_PREFIX = "chart-login-"
_KEYS = (names.USERNAME_KEY, names.PASSWORD_KEY, names.CA_CERTIFICATE_KEY)
"""All that is used of a Secret, and so all that is copied."""


@dataclass(frozen=True, slots=True)
class Login:
    """The login that one chart needs.

    Attributes:
        chart_namespace: of the HelmChart.
        secret: namespace and name of the Secret, as `namespace/name`.
        repo: that it is for.
        plain: whether the registry is spoken to without TLS.
    """

    chart_namespace: str
    secret: str
    repo: str
    plain: bool

    @property
    def copy_name(self) -> str:
        """The name of the copy: the same one for all charts of a namespace that use the Secret."""
        text = f"{self.chart_namespace} {self.secret}"
        return _COPY_PREFIX + hashlib.sha256(text.encode()).hexdigest()[:20]

    def is_for(self, spec: Object) -> bool:
        """Return whether a HelmRelease gets its chart where this login belongs."""
        return (self.repo, self.plain) == (spec.get("repo"), bool(spec.get("plainHTTP")))


def login_of(spec: Object, chart_namespace: str) -> Login | None:
    """Return the login that a HelmChart names, if it names one."""
    named = spec.get("chartPullSecret") or {}
    if not named.get("name"):
        return None
    secret = make_key(named["name"], named.get("namespace") or chart_namespace)
    return Login(chart_namespace, secret, str(spec.get("repo")), bool(spec.get("plainHTTP")))


def may_use(secret: Object, chart_namespace: str) -> bool:
    """Return whether the HelmCharts of a namespace may use a Secret."""
    metadata = secret["metadata"]
    label = f"{names.PULL_SECRET_FOR_PREFIX}{chart_namespace}"
    return metadata["namespace"] == chart_namespace or (metadata.get("labels") or {}).get(label) == "true"


def refusal(login: Login) -> str:
    """Return why a Secret isn't used; the same text whether it is there or not, as not all may know that."""
    namespace, _ = split_key(login.secret)
    text = f"Secret {login.secret} of chartPullSecret can't be used: there is none"
    if namespace == login.chart_namespace:
        return text
    label = f"{names.PULL_SECRET_FOR_PREFIX}{login.chart_namespace}=true"
    return f"{text}, or it lacks the label {label} that releases it for charts of that namespace"


def rendered_logins(base: Object, rendering: Rendering) -> dict[str, Login]:
    """Return the logins that the charts of a Base need, by `namespace/name` of the HelmChart.

    A chart that can't be rendered now keeps the login it had. One whose overrides have given it another name or
    namespace gets none.
    """
    feeds = {make_key(feed["name"], feed.get("namespace")) for feed in base["spec"]["feeds"] if is_chart(feed)}
    faulty = {make_key(one.feed["name"], one.feed.get("namespace")) for one in rendering.problems if is_chart(one.feed)}
    logins = {key: login for key, login in logins_of(base).items() if key in feeds & faulty}
    for part in rendering.charts:
        metadata = part.chart["metadata"]
        key = make_key(metadata["name"], metadata["namespace"])
        if key in feeds and (login := login_of(part.chart["spec"], metadata["namespace"])):
            logins[key] = login
    return logins


def pointing_to_secrets(
    base: Object, charts: Iterable[RenderedChart], logins: Mapping[str, Login], *, pulls: bool
) -> list[RenderedChart]:
    """Return rendered charts that name the Secret which whoever deploys them is to read.

    Args:
        base: the Base.
        charts: of its rendering.
        logins: of these charts.
        pulls: whether the child's agent deploys them: it reads copies in its own namespace.
    """
    pointing = []
    for part in charts:
        metadata, spec = part.chart["metadata"], part.chart["spec"]
        if not (spec.get("chartPullSecret") or {}).get("name"):
            pointing.append(part)
            continue
        spec = {key: value for key, value in spec.items() if key != "chartPullSecret"}
        if login := logins.get(make_key(metadata["name"], metadata["namespace"])):
            namespace, name = split_key(login.secret)
            if pulls:
                namespace, name = base["metadata"]["namespace"], login.copy_name
            spec["chartPullSecret"] = {"namespace": namespace, "name": name}
        pointing.append(RenderedChart({**part.chart, "spec": spec}, part.values))
    return pointing


def logins_patch(base: Object, logins: Mapping[str, Login]) -> Object:
    """Return the merge patch that notes the logins on a Base; empty if they are noted."""
    text = orjson.dumps({key: asdict(login) for key, login in sorted(logins.items())}).decode() if logins else None
    if (base["metadata"].get("annotations") or {}).get(names.CHART_LOGINS_ANNOTATION) == text:
        return {}
    return {"metadata": {"annotations": {names.CHART_LOGINS_ANNOTATION: text}}}


def logins_of(base: Object) -> dict[str, Login]:
    """Return the logins noted on a Base, by `namespace/name` of the HelmChart; what can't be read counts as none."""
    try:
        noted: Any = read_json((base["metadata"].get("annotations") or {})[names.CHART_LOGINS_ANNOTATION])
        return {key: Login(**fields) for key, fields in noted.items()}
    except (KeyError, TypeError, AttributeError, DocumentError):
        return {}


def login_for(release: Object, base: Object) -> Login | None:
    """Return the login that a HelmRelease of a Base needs, by the name that only this chart's release can have."""
    for key, login in logins_of(base).items():
        namespace, name = split_key(key)
        chart = {"namespace": namespace, "name": name}
        if release_name({"metadata": {"name": helm_name(base)}}, chart) == release["metadata"]["name"]:
            return login
    return None


def copy_of(login: Login, secret: Object, namespace: str) -> Object:
    """Return the copy of a Secret for the dedicated namespace of a child that pulls."""
    data = secret.get("data") or {}
    return {
        "apiVersion": SECRETS.api_version,
        "kind": SECRETS.kind,
        "metadata": {
            "name": login.copy_name,
            "namespace": namespace,
            "labels": {names.CREATED_BY_LABEL: names.CREATED_BY_HUB, names.CHART_LOGIN_LABEL: "true"},
            "annotations": {
                names.COPIED_FROM_ANNOTATION: login.secret,
                names.COPIED_FOR_ANNOTATION: f"HelmCharts of namespace {login.chart_namespace}",
            },
        },
        "data": {key: data[key] for key in _KEYS if key in data},
    }


def copy_patch(before: Object, wanted: Object) -> Object:
    """Return the merge patch that makes a copy the wanted one; empty if it is."""
    data = before.get("data") or {}
    patch: Object = {}
    if data != wanted["data"]:
        patch["data"] = dict.fromkeys(data.keys() - wanted["data"].keys()) | wanted["data"]
    for field in ("labels", "annotations"):
        there = before["metadata"].get(field) or {}
        if missing := {key: value for key, value in wanted["metadata"][field].items() if there.get(key) != value}:
            patch.setdefault("metadata", {})[field] = missing
    return patch


def original_of(copy: Object) -> str:
    """Return which Secret a copy was made of, as `namespace/name`; "" if it doesn't say."""
    return str((copy["metadata"].get("annotations") or {}).get(names.COPIED_FROM_ANNOTATION) or "")


def is_copy_name(name: str) -> bool:
    """Return whether a Secret has the name of a copy."""
    return name.startswith(_COPY_PREFIX)


def awaited_copy(release: Object) -> str:
    """Return the name of the copy that a HelmRelease's chart is to be got with; "" if it needs none."""
    named = release["spec"].get("chartPullSecret") or {}
    own = named.get("namespace") == release["metadata"]["namespace"]
    return str(named["name"]) if own and is_copy_name(str(named.get("name") or "")) else ""
