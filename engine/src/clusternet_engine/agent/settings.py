"""What the agent is told by its flags, and the rules each value must keep.

The functions are `argparse` types: they return the value to use or raise `argparse.ArgumentTypeError`, which argparse
reports with the name of the flag. They never put the value of a secret into the message.
"""

from __future__ import annotations

import re
from argparse import ArgumentTypeError
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from clusternet_engine.model.constants import RANDOM_LENGTH
from clusternet_engine.model.dialling import Destination
from clusternet_engine.model.labels import is_label_key, is_label_value
from clusternet_engine.model.names import LABEL_LIMIT, is_dns_label

CLUSTER_NAME_LIMIT = 30
"""Characters of `ClusterRegistrationRequest.spec.clusterName` the CRD allows (spec/01 §2.1)."""
NAME_PREFIX_LIMIT = CLUSTER_NAME_LIMIT - RANDOM_LENGTH - 1

_BOOTSTRAP_TOKEN = re.compile(r"[a-z0-9]{6}\.[a-z0-9]{16}")
_JWT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The agent's own flags (spec/05 §7.5), checked.

    `parent_url` and `token` are None when the registration Secret of the child is to be read. Frequencies are seconds.
    """

    system_namespace: str
    parent_url: str | None
    token: str | None = field(repr=False)
    ca_file: Path | None
    insecure_skip_tls_verify: bool
    cluster_name: str
    cluster_name_prefix: str
    cluster_namespace: str
    cluster_type: str
    sync_mode: str
    cluster_labels: Mapping[str, str]
    aggregate_prefixes: tuple[str, ...]
    aggregate_threshold: float
    collect_frequency: float
    update_frequency: float
    use_metrics_server: bool
    app_pusher: bool
    predictor: bool
    predictor_address: str
    predictor_port: int
    predictor_host: str
    predictor_direct_access: bool
    socket_connection: bool
    socket_destinations: tuple[Destination, ...]
    qps: float
    burst: int
    recovery: bool
    token_renewal: float
    helm_binary: str
    repository_addresses: tuple[Destination, ...]


def cluster_name(text: str) -> str:
    """Return the wanted ManagedCluster name, blanks around it removed; "" means "make one from the prefix".

    The limit is the one of the CRD, so that a name the parent would refuse for ever stops the start (spec/02 §3).
    """
    name = text.strip()
    if len(name) > CLUSTER_NAME_LIMIT:
        raise ArgumentTypeError(
            f"{name!r} has {len(name)} characters; a cluster name may have at most {CLUSTER_NAME_LIMIT}"
        )
    return _dns_label(name, "a cluster name") if name else ""


def cluster_name_prefix(text: str) -> str:
    """Return the prefix of generated cluster names; with "-" and 5 random characters it must keep the name limit."""
    prefix = text.strip()
    if len(prefix) > NAME_PREFIX_LIMIT:
        raise ArgumentTypeError(
            f"{prefix!r} has {len(prefix)} characters; the prefix of a cluster name may have at most"
            f" {NAME_PREFIX_LIMIT}, because '-' and {RANDOM_LENGTH} random characters follow it"
        )
    return _dns_label(prefix, "the prefix of a cluster name")


def cluster_namespace(text: str) -> str:
    """Return the wanted dedicated namespace on the parent; "" lets the hub make one."""
    namespace = text.strip()
    if len(namespace) > LABEL_LIMIT:
        raise ArgumentTypeError(
            f"{namespace!r} has {len(namespace)} characters; a namespace may have at most {LABEL_LIMIT}"
        )
    return _dns_label(namespace, "a namespace") if namespace else ""


def _dns_label(text: str, what: str) -> str:
    if not is_dns_label(text):
        raise ArgumentTypeError(
            f"{text!r} is not valid: {what} is lower-case letters, digits and '-',"
            " and starts and ends with a letter or digit"
        )
    return text


def cluster_labels(text: str) -> dict[str, str]:
    """Parse `key=value,key=value` into the labels the ManagedCluster gets when it is created (spec/02 §3)."""
    labels: dict[str, str] = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        key, equals, value = (part.strip() for part in item.partition("="))
        if not equals or "=" in value:
            raise ArgumentTypeError(f"{item!r} is not of the form key=value")
        if not is_label_key(key):
            raise ArgumentTypeError(f"{key!r} is not a valid label key")
        if not is_label_value(value):
            raise ArgumentTypeError(f"{value!r} is not a valid value of the label {key!r}")
        labels[key] = value
    return labels


def parent_url(text: str) -> str:
    """Return the parent's URL unchanged: it is compared byte for byte with the stored one (spec/02 §1 step 3)."""
    try:
        url = urlsplit(text)
        valid = url.scheme == "https" and url.hostname is not None and url.port != 0
    except ValueError:
        valid = False
    if not valid or url.username is not None or url.query or url.fragment or text != text.strip():
        raise ArgumentTypeError(
            "the URL of the parent must be absolute, https://host[:port][/path] with nothing after the path"
        )
    return text


def registration_token(text: str) -> str:
    """Return the bootstrap or ServiceAccount token after a check of its form (spec/02 §3)."""
    token = text.strip()
    if not _BOOTSTRAP_TOKEN.fullmatch(token) and not _JWT.fullmatch(token):
        raise ArgumentTypeError(
            "the token must be a bootstrap token (6 characters, a dot, 16 characters, of a-z and 0-9)"
            " or the token of a ServiceAccount"
        )
    return token


def readable_file(text: str) -> Path:
    """Return the path of a file that can be read now."""
    path = Path(text)
    try:
        path.open("rb").close()
    except OSError as error:
        raise ArgumentTypeError(f"{text}: {error.strerror}") from None
    return path


def share(text: str) -> float:
    """Return a share between 0 and 1."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise ArgumentTypeError(f"{text!r} is not a number from 0 to 1")
    return value


def positive_share(text: str) -> float:
    """Return a share above 0, up to 1."""
    value = share(text)
    if value == 0:
        raise ArgumentTypeError(f"{text!r} is not above 0")
    return value
