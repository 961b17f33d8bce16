"""Names of objects: what Kubernetes allows, and names made from a cluster's identity."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

from clusternet_engine.model import constants as names

NAME_LIMIT = 253
LABEL_LIMIT = 63

_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")


def is_dns_label(text: str) -> bool:
    """Return whether the text is a name of a Namespace: RFC 1123 label, at most 63 characters."""
    return len(text) <= LABEL_LIMIT and _DNS_LABEL.fullmatch(text) is not None


def is_dns_subdomain(text: str) -> bool:
    """Return whether the text is a name of most objects: RFC 1123 subdomain, at most 253 characters."""
    return len(text) <= NAME_LIMIT and all(_DNS_LABEL.fullmatch(part) for part in text.split("."))


def cluster_object_name(cluster_id: str) -> str:
    """Return the name of a cluster's request, ClusterRole and ClusterRoleBinding: `clusternet-<cluster id>`."""
    return names.PREFIX + cluster_id


def derived_names(cluster_id: str) -> Iterator[str]:
    """Yield the names a cluster's generated objects may have, the same ones in the same order every time.

    They look like Kubernetes' generated names with the prefix `clusternet-` (spec/02 §6.2), but are made from the
    identity, so that a hub that is killed after a creation finds what it made. The second and later ones are for the
    case that another cluster has the first (27⁵ names). Never ends.
    """
    attempt = 0
    while True:
        yield names.PREFIX + derived_suffix(f"{cluster_id}/{attempt}")
        attempt += 1


def derived_suffix(text: str) -> str:
    """Return five characters as at the end of Kubernetes' generated names, the same ones for a text every time."""
    number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
    suffix = ""
    for _ in range(names.RANDOM_LENGTH):
        number, index = divmod(number, len(names.RANDOM_ALPHABET))
        suffix += names.RANDOM_ALPHABET[index]
    return suffix
