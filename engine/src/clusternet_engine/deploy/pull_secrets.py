"""The logins to chart repositories, as whoever deploys HelmReleases reads them.

The agent reads Secrets with its own rights on the parent, which end with its dedicated namespace: our hub keeps a copy
there of what is needed, and names it in the HelmRelease. Where Clusternet's hub has named the original, the agent takes
the Secret of the same name in its own namespace. The hub's side is in `clusternet_engine.hub.pull_secrets`.
"""

from __future__ import annotations

import base64
import binascii
from typing import Protocol

from clusternet_engine.deploy.repositories import Credential
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.errors import Forbidden, NotFound
from clusternet_engine.kube.resources import SECRETS, Object
from clusternet_engine.model import constants as names


class PullSecretMissing(Exception):
    """The login of a chart can't be had; the text says why."""


class PullSecrets(Protocol):
    """Where the logins of HelmReleases come from."""

    async def of_release(self, release: Object) -> Credential:
        """Return the login for a HelmRelease's chart, an empty one where it needs none; or raise PullSecretMissing."""


class OwnPullSecrets:
    """The Secrets that an agent may read.

    Args:
        parent: client of the parent, with the rights of the approved cluster.
    """

    def __init__(self, parent: Client) -> None:
        self._parent = parent

    async def of_release(self, release: Object) -> Credential:
        """Return the login for a HelmRelease's chart; an empty one where it names no Secret.

        Raises:
            PullSecretMissing: it can't be read.
        """
        dedicated = release["metadata"]["namespace"]
        named = release["spec"].get("chartPullSecret") or {}
        name = named.get("name")
        if not name:
            return Credential()
        namespace = named.get("namespace") or dedicated
        try:
            return credential_of(await self._parent.get(SECRETS, name, namespace))
        except Forbidden:
            return await self._own(name, namespace, dedicated)
        except NotFound:
            raise PullSecretMissing(f"Secret {namespace}/{name} of chartPullSecret doesn't exist") from None

    async def _own(self, name: str, namespace: str, dedicated: str) -> Credential:
        try:
            return credential_of(await self._parent.get(SECRETS, name, dedicated))
        except (Forbidden, NotFound):
            raise PullSecretMissing(
                f"Secret {namespace}/{name} of chartPullSecret is out of this cluster's reach, and there is no Secret "
                f"{dedicated}/{name} in its place; a cluster that pulls reads Secrets of that namespace only"
            ) from None


def credential_of(secret: Object) -> Credential:
    """Return the login that a Secret holds.

    Raises:
        PullSecretMissing: it is damaged.
    """
    metadata = secret["metadata"]
    try:
        data = {key: base64.b64decode(value) for key, value in (secret.get("data") or {}).items()}
        return Credential(
            data.get(names.USERNAME_KEY, b"").decode(),
            data.get(names.PASSWORD_KEY, b"").decode(),
            data.get(names.CA_CERTIFICATE_KEY) or None,
        )
    except (binascii.Error, UnicodeDecodeError):
        raise PullSecretMissing(f"Secret {metadata['namespace']}/{metadata['name']} is damaged") from None
