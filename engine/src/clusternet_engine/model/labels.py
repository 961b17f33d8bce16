"""Labels: what Kubernetes allows, and the labels of nodes summed up for their cluster (spec/02 §8)."""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from clusternet_engine.kube.resources import Object
from clusternet_engine.model import constants as names
from clusternet_engine.model.names import LABEL_LIMIT, is_dns_subdomain

_DIGEST = 32
"""Hexadecimal digits of a digest in a name: 128 bits, so that nobody can make two names share one."""
_LABEL = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")


def is_label_value(text: str) -> bool:
    """Return whether the text may be the value of a label; it may be empty."""
    return text == "" or (len(text) <= LABEL_LIMIT and _LABEL.fullmatch(text) is not None)


def label_form(text: str) -> str:
    """Return a name as the value of a label: itself where it fits, else its beginning and a digest.

    Kubernetes takes names that labels don't, such as `system:node` for a ClusterRole, or 253 letters. Whoever finds
    something by such a label reads the name elsewhere.
    """
    return text if is_label_value(text) else digested(re.sub(r"[^A-Za-z0-9_.]", "-", text), text)


def digested(stem: str, text: str) -> str:
    """Return the beginning of a name, made of letters that fit, and a digest of the text that it stands for."""
    digest = hashlib.sha256(text.encode()).hexdigest()[:_DIGEST]
    head = stem[: LABEL_LIMIT - _DIGEST - 1].strip("-_.")
    return f"{head}-{digest}" if head else digest


def is_label_key(text: str) -> bool:
    """Return whether the text may be the key of a label: `name` or `dns.subdomain/name`."""
    prefix, slash, name = text.rpartition("/")
    return name != "" and is_label_value(name) and (not slash or is_dns_subdomain(prefix))


def aggregate_labels(nodes: Iterable[Object], prefixes: Sequence[str], threshold: float) -> dict[str, str]:
    """Return the labels that enough worker nodes share (spec/02 §8).

    Args:
        nodes: all nodes; those of the control plane don't count.
        prefixes: only labels whose key starts with one of them count.
        threshold: share (0 to 1) of the workers that must have the most frequent value of a key; of equally frequent
            values the first in alphabetical order is taken.
    """
    workers = 0
    values: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for node in nodes:
        labels = node["metadata"].get("labels") or {}
        if any(role in labels for role in names.CONTROL_PLANE_NODE_LABELS):
            continue
        workers += 1
        for key, value in labels.items():
            if key.startswith(tuple(prefixes)):
                values[key][value] += 1
    aggregated = {}
    for key in sorted(values):
        value, count = min(values[key].items(), key=lambda item: (-item[1], item[0]))
        if count / workers >= threshold:
            aggregated[key] = value
    return aggregated


def aggregated_labels_patch(
    current: Mapping[str, str], aggregated: Mapping[str, str], prefixes: Sequence[str]
) -> dict[str, str | None]:
    """Return the merge patch of labels after which exactly `aggregated` has these prefixes; empty if nothing to do."""
    gone = {key: None for key in current if key.startswith(tuple(prefixes)) and key not in aggregated}
    return gone | {key: value for key, value in aggregated.items() if current.get(key) != value}
