"""What the gateway is told by its flags, and the rules each value must keep.

The functions are `argparse` types: they return the value to use or raise `argparse.ArgumentTypeError`.
"""

from __future__ import annotations

from argparse import ArgumentTypeError
from dataclasses import dataclass
from pathlib import Path

from clusternet_engine.model.names import is_dns_label, is_dns_subdomain


@dataclass(frozen=True, slots=True)
class Account:
    """A ServiceAccount of the children."""

    namespace: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The gateway's own flags, checked.

    Attributes:
        port: to listen on at loopback; 0 = a free one.
        kubeconfig: the file to write.
        idle_timeout: seconds without a request after which the gateway ends; None = never.
        names: of the ManagedClusters; empty = all.
        namespace: of the ManagedClusters; None = all.
        label_selector: of the ManagedClusters; None = all.
        account: as whom to act on the children; None = by the credential that their agents have handed to the parent.
    """

    port: int
    kubeconfig: Path
    idle_timeout: float | None
    names: frozenset[str]
    namespace: str | None
    label_selector: str | None
    account: Account | None


def cluster_names(text: str) -> frozenset[str]:
    """Return the names in a list."""
    found = frozenset(item.strip() for item in text.split(",") if item.strip())
    for name in found:
        if not is_dns_subdomain(name):
            raise ArgumentTypeError(f"{name!r} is not the name of a cluster")
    return found


def namespace(text: str) -> str:
    """Return the name of a namespace."""
    if not is_dns_label(text):
        raise ArgumentTypeError(f"{text!r} is not the name of a namespace")
    return text


def account(text: str) -> Account:
    """Return a ServiceAccount from `namespace/name`."""
    where, slash, name = text.partition("/")
    if not (slash and is_dns_label(where) and is_dns_subdomain(name)):
        raise ArgumentTypeError(f"{text!r} is not of the form namespace/name")
    return Account(where, name)


def new_file(text: str) -> Path:
    """Return the absolute path of a file whose folder exists."""
    path = Path(text).expanduser().absolute()
    if not path.parent.is_dir():
        raise ArgumentTypeError(f"there is no folder {path.parent}")
    return path
