"""The logins to chart repositories: Secrets of the parent that charts name in `chartPullSecret` (spec/03 §1.2)."""

from __future__ import annotations

import base64
import binascii

from clusternet_engine.deploy.repositories import Credential
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.errors import Forbidden, NotFound
from clusternet_engine.kube.resources import SECRETS, Object
from clusternet_engine.model import constants as names


class PullSecretMissing(Exception):
    """The Secret of a chart can't be read; the text says why."""


class PullSecrets:
    """Reads the logins.

    An agent may read Secrets of its dedicated namespace only. So where the named one is out of its reach, it takes the
    one of the same name there.

    Args:
        parent: client of the parent cluster.
    """

    def __init__(self, parent: Client) -> None:
        self._parent = parent

    async def credential(self, spec: Object, dedicated_namespace: str) -> Credential:
        """Return the login for a chart; an empty one where it names no Secret.

        Args:
            spec: of the HelmChart or HelmRelease.
            dedicated_namespace: of the cluster that the chart is for; "" if it isn't for one.

        Raises:
            PullSecretMissing: it can't be read.
        """
        named = spec.get("chartPullSecret") or {}
        name = named.get("name")
        if not name:
            return Credential()
        namespace = named.get("namespace") or dedicated_namespace or "default"
        try:
            secret = await self._parent.get(SECRETS, name, namespace)
        except NotFound:
            raise PullSecretMissing(f"Secret {namespace}/{name} of chartPullSecret doesn't exist") from None
        except Forbidden:
            secret = await self._copy(name, namespace, dedicated_namespace)
        return _credential(secret)

    async def _copy(self, name: str, namespace: str, dedicated_namespace: str) -> Object:
        try:
            return await self._parent.get(SECRETS, name, dedicated_namespace)
        except (Forbidden, NotFound):
            raise PullSecretMissing(
                f"Secret {namespace}/{name} of chartPullSecret is out of this cluster's reach, and there is no Secret "
                f"{dedicated_namespace}/{name} in its place; a cluster that pulls reads Secrets of that namespace only"
            ) from None


def _credential(secret: Object) -> Credential:
    metadata = secret["metadata"]
    try:
        data = {key: base64.b64decode(value) for key, value in (secret.get("data") or {}).items()}
        return Credential(
            data.get("username", b"").decode(),
            data.get("password", b"").decode(),
            data.get(names.CA_CERTIFICATE_KEY) or None,
        )
    except (binascii.Error, UnicodeDecodeError):
        raise PullSecretMissing(f"Secret {metadata['namespace']}/{metadata['name']} is damaged") from None
