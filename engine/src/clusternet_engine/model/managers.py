"""Tells who owns the fields of an object, where Clusternet's own programs have been at work (docs/architecture.md).

They update objects and remember them in an annotation; this engine applies them on the server. Clusternet's agent may
go on writing what this engine's hub deploys, when it restores objects. A field that both have written stays after an
apply without it, since its other owner still wants it. So the fields of Clusternet's programs become ours before they
are applied, and go when nobody wants them any more.
"""

from __future__ import annotations

from clusternet_engine.kube.resources import Object
from clusternet_engine.model import constants as names
from clusternet_engine.model.apply import APPLY
from clusternet_engine.model.field_owners import FIELD_MANAGER, is_applied_by_us, merged_fields

_PROGRAMS = frozenset({"clusternet-agent", "clusternet-controller-manager", "clusternet-hub"})
"""Names under which Clusternet's programs write: those of their binaries."""


def taken_over(live: Object) -> list[Object] | None:
    """Return `metadata.managedFields` with the fields of Clusternet's programs given to us; None where nothing is due.

    Such a program has one of their names, or has updated the annotation with the last applied configuration.
    """
    managed: list[Object] = live["metadata"].get("managedFields") or []
    theirs = [entry for entry in managed if _is_theirs(entry)]
    if not theirs:
        return None
    ours = [entry for entry in managed if is_applied_by_us(entry)]
    fields: Object = {}
    for entry in (*ours, *theirs):
        fields = merged_fields(fields, entry.get("fieldsV1") or {})
    whole = {**(*theirs, *ours)[-1], "manager": FIELD_MANAGER, "operation": APPLY, "fieldsV1": fields}
    return [*(entry for entry in managed if entry not in theirs and entry not in ours), whole]


def _is_theirs(entry: Object) -> bool:
    if entry.get("operation") != "Update" or entry.get("subresource"):
        return False
    fields = entry.get("fieldsV1") or {}
    annotations = (fields.get("f:metadata") or {}).get("f:annotations") or {}
    return entry.get("manager") in _PROGRAMS or f"f:{names.LAST_APPLIED_ANNOTATION}" in annotations
