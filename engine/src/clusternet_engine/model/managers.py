"""Who owns the fields of an object, where Clusternet's own deployer has been at work (spec/03 §8.2).

It updates objects and remembers them in an annotation; this engine applies them on the server. So that fields which are
no longer wanted go away with the first apply too, the fields of the former owner become ours before it.
"""

from __future__ import annotations

from clusternet_engine.kube.resources import Object
from clusternet_engine.model import constants as names

FIELD_MANAGER = "clusternet"


def taken_over(live: Object) -> list[Object] | None:
    """Return `metadata.managedFields` with the fields of Clusternet's deployer given to us; None where nothing is due.

    The deployer is whoever has updated the annotation with the last applied configuration.
    """
    managed: list[Object] = live["metadata"].get("managedFields") or []
    if any(entry.get("manager") == FIELD_MANAGER and entry.get("operation") == "Apply" for entry in managed):
        return None
    former = [entry for entry in managed if _owns_annotation(entry)]
    if not former:
        return None
    fields: Object = {}
    for entry in former:
        fields = _merged(fields, entry["fieldsV1"])
    ours = {**former[-1], "manager": FIELD_MANAGER, "operation": "Apply", "fieldsV1": fields}
    return [*(entry for entry in managed if entry not in former), ours]


def _owns_annotation(entry: Object) -> bool:
    if entry.get("operation") != "Update" or entry.get("subresource"):
        return False
    fields = entry.get("fieldsV1") or {}
    annotations = (fields.get("f:metadata") or {}).get("f:annotations") or {}
    return f"f:{names.LAST_APPLIED_ANNOTATION}" in annotations


def _merged(one: Object, other: Object) -> Object:
    return {**one, **{key: _merged(one[key], value) if key in one else value for key, value in other.items()}}
