"""Objects that do their work once and go by their own rules, such as a Job with `ttlSecondsAfterFinished`.

That such an object is gone isn't drift: made again it would do its work again, for ever. It is made again when it is
published in another form, or when it was removed before it had finished.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import orjson

from clusternet_engine.kube.resources import Object
from clusternet_engine.model import constants as names
from clusternet_engine.model.applied import identity, reference
from clusternet_engine.model.conditions import find_condition
from clusternet_engine.model.times import format_time, parse_time

EXPIRED = "Expired"
"""Condition in the observed status of such an object that is gone."""

DIGEST = "digest"
"""Key in the references of the annotation with the applied objects; not in those of objects that stay."""

_JOBS, _PODS, _REQUESTS, _EVENTS, _TOKENS = "Job", "Pod", "CertificateSigningRequest", "Event", "Secret"
_GROUPS = {_JOBS: ("batch",), _PODS: ("",), _REQUESTS: ("certificates.k8s.io",), _EVENTS: ("", "events.k8s.io")}
_ENDS = {_JOBS: ("Complete", "Failed"), _REQUESTS: ("Approved", "Denied", "Failed")}
_BOOTSTRAP_TOKEN = "bootstrap.kubernetes.io/token"  # noqa: S105 - a type of Secret


def expires(obj: Object) -> bool:
    """Return whether an object goes by itself once it has done its work."""
    kind, spec = _kind(obj), obj.get("spec")
    spec = spec if isinstance(spec, Mapping) else {}
    if kind == _JOBS:
        return spec.get("ttlSecondsAfterFinished") is not None
    if kind == _PODS:
        return spec.get("restartPolicy") in ("Never", "OnFailure")
    return kind in (_REQUESTS, _EVENTS) or _expiration(obj) is not None


def has_finished(live: Object, now: datetime) -> bool:
    """Return whether an object that expires had done its work, as it was seen last."""
    kind, status = _kind(live), live.get("status")
    status = status if isinstance(status, Mapping) else {}
    if kind == _PODS:
        return status.get("phase") in ("Succeeded", "Failed")
    if kind == _EVENTS:
        return True
    if (expiration := _expiration(live)) is not None:
        return expiration <= now
    conditions = (find_condition(status.get("conditions"), end) for end in _ENDS.get(kind, ()))
    return any(condition is not None and condition.get("status") == names.TRUE for condition in conditions)


def digest(wanted: Object) -> str:
    """Return what tells one form of an object from another one; without the annotation that repeats it all."""
    metadata = wanted["metadata"]
    annotations = {
        key: value for key, value in (metadata.get("annotations") or {}).items() if key != names.LAST_APPLIED_ANNOTATION
    }
    form = {**wanted, "metadata": {**metadata, "annotations": annotations}}
    return hashlib.sha256(orjson.dumps(form, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]


def has_started(obj: Object, known: Iterable[Object]) -> bool:
    """Return whether an object that expires was applied in just this form.

    Args:
        obj: the object as it is applied.
        known: the references to what was applied, which have the digest of what had been started.
    """
    place, form = identity(reference(obj)), digest(obj)
    return any(identity(entry) == place and entry.get(DIGEST) == form for entry in known)


def started_reference(obj: Object) -> Object:
    """Return the reference to an object that expires and has been applied; it tells in which form."""
    return {**reference(obj), DIGEST: digest(obj)}


def expired_status(last: Any, form: str, now: datetime) -> Object:
    """Return the observed status of an object that has gone by its own rules: its last one, and that it is gone.

    Args:
        last: its last status; None if it hasn't been seen to finish.
        form: the digest of what was applied.
        now: when it was found gone.
    """
    seen = last is not None
    status = last if isinstance(last, Mapping) else {}
    conditions = status.get("conditions")
    kept = conditions if isinstance(conditions, list) else []
    message = (
        "It has done its work and was removed by its own rules."
        if seen
        else "It isn't there any more, and how it ended was not seen. Such an object is removed by its own rules once "
        "it has done its work."
    )
    condition = {
        "type": EXPIRED,
        "status": names.TRUE,
        "reason": "Finished" if seen else "NotSeen",
        "message": f"{message} It is made again when it is published in another form.",
        "lastTransitionTime": format_time(now),
        "form": form,
    }
    return {**status, "conditions": [*kept, condition]}


def tells_of_end(observed: Any, form: str) -> bool:
    """Return whether an observed status says that an object of this form has gone by its own rules."""
    condition = find_condition(observed.get("conditions"), EXPIRED) if isinstance(observed, Mapping) else None
    return condition is not None and condition.get("form") == form


def _kind(obj: Object) -> str:
    kind = str(obj.get("kind"))
    return kind if str(obj.get("apiVersion")).rpartition("/")[0] in _GROUPS.get(kind, ()) else ""


def _expiration(obj: Object) -> datetime | None:
    """Return when a bootstrap token ends; None for everything else."""
    if (obj.get("apiVersion"), obj.get("kind"), obj.get("type")) != ("v1", _TOKENS, _BOOTSTRAP_TOKEN):
        return None
    data = obj.get("data")
    text = data.get("expiration") if isinstance(data, Mapping) else None
    try:
        return parse_time(base64.b64decode(text).decode()) if isinstance(text, str) else None
    except ValueError:
        return None
