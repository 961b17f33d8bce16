"""The hash of a Subscription's spec by which the scheduler knows what it has scheduled (spec/03 §2.3)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeAlias

_Layout: TypeAlias = Mapping[str, "_Layout | None"]
"""The fields of an object in the order they are hashed in, with the layout of what is an object or a list of them."""

_EXPRESSION: _Layout = dict.fromkeys(("key", "operator", "values"))
_LABEL_SELECTOR: _Layout = {"matchLabels": None, "matchExpressions": _EXPRESSION}
_SPEC: _Layout = {
    "schedulerName": None,
    "schedulingBySubGroup": None,
    "schedulingStrategy": None,
    "dividingScheduling": {
        "type": None,
        "dynamicDividing": {
            "strategy": None,
            "topologySpreadConstraints": {
                "maxSkew": None,
                "topologyKey": None,
                "whenUnsatisfiable": None,
                "labelSelector": _LABEL_SELECTOR,
                "minDomains": None,
                "nodeAffinityPolicy": None,
                "nodeTaintsPolicy": None,
                "matchLabelKeys": None,
            },
            "preferredClusters": {
                "weight": None,
                "preference": {"matchExpressions": _EXPRESSION, "matchFields": _EXPRESSION},
            },
            "minClusters": None,
            "maxClusters": None,
        },
    },
    "priority": None,
    "preemptionPolicy": None,
    "subscribers": {
        "clusterAffinity": _LABEL_SELECTOR,
        "weight": None,
        "subGroupStrategy": {"minClusters": None},
    },
    "clusterTolerations": dict.fromkeys(("key", "operator", "value", "effect", "tolerationSeconds")),
    "feeds": dict.fromkeys(("kind", "apiVersion", "namespace", "name")),
}

_ESCAPED = str.maketrans({char: f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"})
_FNV_OFFSET = 0x811C9DC5
_FNV_PRIME = 0x01000193


def spec_hash(spec: Mapping[str, Any]) -> int:
    """Return the hash of a Subscription's spec; fields that are absent and fields that say nothing hash alike."""
    text = json.dumps(_laid_out(spec, _SPEC), ensure_ascii=False, separators=(",", ":")).translate(_ESCAPED)
    hashed = f"([]uint8)[{' '.join(map(str, text.encode()))}]".encode()
    value = _FNV_OFFSET
    for byte in hashed:
        value = (value ^ byte) * _FNV_PRIME & 0xFFFFFFFF
    return value


def _laid_out(value: Mapping[str, Any], layout: _Layout) -> dict[str, Any]:
    result = {}
    for field, inner in layout.items():
        content = value.get(field)
        if inner is not None and isinstance(content, Mapping):
            result[field] = _laid_out(content, inner)
        elif content:
            result[field] = _content(content, inner)
    return result


def _content(content: Any, layout: _Layout | None) -> Any:
    if layout is not None:
        return [_laid_out(item, layout) for item in content]
    return dict(sorted(content.items())) if isinstance(content, Mapping) else content
