"""The Secrets of a registration: their exact shapes, as pure functions.

| Secret | cluster | made by |
|---|---|---|
| `clusternet-agent-cluster-registration` | child | whoever installs the agent |
| `parent-cluster` | child | the agent (spec/02 §5) |
| `clusternet-app-deployer` | child | whoever installs the agent; filled by Kubernetes |
| `child-cluster-deployer` | parent | the agent (spec/02 §7) |
"""

from __future__ import annotations

import base64
import binascii
from argparse import ArgumentTypeError
from collections.abc import Mapping
from dataclasses import dataclass, field

from clusternet_engine.agent.settings import parent_url, registration_token
from clusternet_engine.kube.resources import Object
from clusternet_engine.model import constants as names


class SecretInvalid(Exception):
    """A Secret lacks a key or holds something that cannot be right; the message never shows a value."""


@dataclass(frozen=True, slots=True)
class Registration:
    """How to reach the parent for the first time: URL, bootstrap token, CA bundle (PEM; None = the system's)."""

    parent_url: str
    token: str = field(repr=False)
    ca_certificate: bytes | None


@dataclass(frozen=True, slots=True)
class ParentCredential:
    """What an approved cluster owns on its parent."""

    parent_url: str
    namespace: str
    token: str = field(repr=False)
    ca_certificate: bytes


@dataclass(frozen=True, slots=True)
class ServiceAccountToken:
    """The filled token Secret of a ServiceAccount."""

    name: str
    uid: str
    token: bytes = field(repr=False)
    ca_certificate: bytes


def registration(secret: Object) -> Registration:
    """Read the registration Secret: `parentURL`, `regToken` and, ours, `ca.crt`.

    Raises:
        SecretInvalid: a key is missing or malformed.
    """
    data = _decoded(secret)
    name = secret["metadata"]["name"]
    values = {}
    for key, check in ((names.PARENT_URL_KEY, parent_url), (names.REGISTRATION_TOKEN_KEY, registration_token)):
        try:
            values[key] = check(data.get(key, b"").decode())
        except (ArgumentTypeError, UnicodeDecodeError) as error:
            problem = error if key in data else "the key is missing"
            raise SecretInvalid(f"Secret {name}, key {key}: {problem}") from None
    return Registration(
        values[names.PARENT_URL_KEY], values[names.REGISTRATION_TOKEN_KEY], data.get(names.CA_CERTIFICATE_KEY) or None
    )


def parent_credential(secret: Object, url: str, ca_certificate: bytes | None = None) -> ParentCredential | None:
    """Return the stored credential, or None when it is incomplete or was given by another parent.

    A parent is the same if its URL is, byte for byte, or if it is verified by the very CA that the stored one had: a
    parent may get another URL, and a credential must not be shown to anybody else.

    Args:
        secret: the Secret `parent-cluster`.
        url: the URL by which the parent is reached now.
        ca_certificate: the CA bundle (PEM) by which it is verified, if one is given.
    """
    try:
        data = _decoded(secret)
        stored_url, namespace, token = (
            data.get(key, b"").decode() for key in (names.ADVERTISE_URL_KEY, names.NAMESPACE_KEY, names.TOKEN_KEY)
        )
    except (SecretInvalid, UnicodeDecodeError):
        return None
    stored_ca = data.get(names.CA_CERTIFICATE_KEY, b"")
    if not (stored_url and namespace and token and stored_ca):
        return None
    if stored_url != url and (ca_certificate or b"").split() != stored_ca.split():
        return None
    return ParentCredential(stored_url, namespace, token, stored_ca)


def parent_cluster_secret(
    credential: ParentCredential, *, secret_namespace: str, cluster_id: str, cluster_name: str
) -> Object:
    """Return the Secret `parent-cluster` of the child (spec/02 §5)."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": names.PARENT_CLUSTER_SECRET,
            "namespace": secret_namespace,
            "labels": {
                names.BOOTSTRAPPING_LABEL: names.CREDENTIALS_AUTO,
                names.CLUSTER_ID_LABEL: cluster_id,
                names.CLUSTER_NAME_LABEL: cluster_name,
            },
        },
        "type": "Opaque",
        "data": _encoded(
            {
                names.CA_CERTIFICATE_KEY: credential.ca_certificate,
                names.TOKEN_KEY: credential.token.encode(),
                names.NAMESPACE_KEY: credential.namespace.encode(),
                names.ADVERTISE_URL_KEY: credential.parent_url.encode(),
            }
        ),
    }


def service_account_token(secret: Object) -> ServiceAccountToken | None:
    """Return the content of a ServiceAccount's token Secret, or None while Kubernetes has not filled it."""
    data = _decoded(secret)
    annotations = secret["metadata"].get("annotations") or {}
    token = ServiceAccountToken(
        name=annotations.get(names.SERVICE_ACCOUNT_NAME_ANNOTATION, ""),
        uid=annotations.get(names.SERVICE_ACCOUNT_UID_ANNOTATION, ""),
        token=data.get(names.TOKEN_KEY, b""),
        ca_certificate=data.get(names.CA_CERTIFICATE_KEY, b""),
    )
    return token if token.name and token.uid and token.token and token.ca_certificate else None


def child_deployer_secret(token: ServiceAccountToken, *, namespace: str, cluster_id: str, child_url: str) -> Object:
    """Return the Secret `child-cluster-deployer` of the parent (spec/02 §7)."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": names.CHILD_DEPLOYER_SECRET,
            "namespace": namespace,
            "labels": {
                names.CREATED_BY_LABEL: names.CREATED_BY_AGENT,
                names.CLUSTER_ID_LABEL: cluster_id,
                names.BOOTSTRAPPING_LABEL: names.CREDENTIALS_AUTO,
            },
            "annotations": {names.AUTOUPDATE_ANNOTATION: "true"},
            "finalizers": [names.FINALIZER],
        },
        "type": "Opaque",
        "data": _encoded(
            {
                names.TOKEN_KEY: token.token,
                names.CA_CERTIFICATE_KEY: token.ca_certificate,
                "service-account.name": token.name.encode(),
                "service-account.uid": token.uid.encode(),
                names.ADVERTISE_URL_KEY: child_url.encode(),
            }
        ),
    }


def _decoded(secret: Object) -> dict[str, bytes]:
    try:
        return {key: base64.b64decode(value, validate=True) for key, value in (secret.get("data") or {}).items()}
    except binascii.Error:
        raise SecretInvalid(f"Secret {secret['metadata']['name']} holds data that is not base64") from None


def _encoded(data: Mapping[str, bytes]) -> dict[str, str]:
    return {key: base64.b64encode(value).decode() for key, value in data.items()}
