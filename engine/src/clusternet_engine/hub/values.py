"""Keeps the values of published Secrets in real Secrets, and cleans up after itself.

`ManifestValues` writes and reads them for the shadow API, in every replica: the values first, in a new Secret, then the
Manifest that names it, so that a hub killed in between leaves nothing but a Secret that nobody names. The controller
`Values` runs in the hub that leads. Changes of Manifests and of Secrets with values wake it. It moves values that stand
in Manifests (as written by Clusternet's hub, or an earlier one of ours) into Secrets, or back if the hub is told to
keep them inline; lets each Secret go with its Manifest; writes values again that somebody has removed, as long as they
are remembered; and removes Secrets that no Manifest names.
"""

from __future__ import annotations

import base64
import contextlib
import logging
import secrets
import time
from collections.abc import Iterable

from clusternet_engine.hub.caches import BY_MANIFEST, Caches
from clusternet_engine.hub.settings import Settings
from clusternet_engine.kube.cache import Change
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.controller import Controller
from clusternet_engine.kube.errors import AlreadyExists, ApiError, Conflict, NotFound
from clusternet_engine.kube.informer import Informer
from clusternet_engine.kube.nesting import is_incomplete
from clusternet_engine.kube.resources import MANIFESTS, SECRETS, Object
from clusternet_engine.model import constants as names
from clusternet_engine.model.secret_values import (
    INCOMPLETE,
    LOST,
    MalformedValues,
    is_secret,
    joined,
    parted,
    referring,
    shows_values,
    values_in,
    values_name,
    values_secret,
    without_data,
)

NAME = "secretvalues"

_READS = 5
"""Times a Manifest is read again whose values have just been replaced."""
_GRACE = 120.0
"""Seconds a Secret with values may stay without a Manifest that names it: longer than any request of a hub takes."""
_MENDING_DELAY = 2.0
"""Seconds until the next look where the cache is late."""
_KEY_BYTES = 32
_KEY_ATTEMPTS = 3

log = logging.getLogger(__name__)


class ManifestValues:
    """Takes values out of Manifests and puts them back.

    Args:
        client: of the parent cluster.
        values: the hub's cache of the Secrets with values of Manifests.
        namespace: where Manifests are kept.
        referenced: whether values are kept in Secrets; if not, they stay in the Manifests.
    """

    def __init__(self, client: Client, values: Informer, namespace: str, *, referenced: bool) -> None:
        self._client = client
        self._values = values
        self._namespace = namespace
        self._referenced = referenced

    async def whole(self, manifest: Object) -> Object:
        """Return a Manifest with its values, of which those lost are left out with their keys.

        Raises:
            NotFound: the Manifest is gone.
        """
        for _ in range(_READS):
            name = values_name(manifest)
            if name is None or is_incomplete(manifest) or not is_secret(manifest.get("template")):
                return manifest
            try:
                secret = self._values.get(name, self._namespace) or await self._client.get(
                    SECRETS, name, self._namespace
                )
                values = values_in(secret, names.MANIFEST_VALUES_TYPE)
                return {**manifest, "template": joined(manifest["template"], values)}
            except NotFound:
                manifest_now = await self._client.get(MANIFESTS, manifest["metadata"]["name"], self._namespace)
                if values_name(manifest_now) == name:
                    break
                manifest = manifest_now
            except MalformedValues as error:
                log.warning("Manifest %s: %s", manifest["metadata"]["name"], error)
                break
        return {**manifest, "template": without_data(manifest["template"])}

    async def keep(self, manifest: Object, *, dry_run: bool = False) -> Object:
        """Return a whole Manifest as it is to be stored; its values are in a new Secret then.

        Args:
            manifest: with all values.
            dry_run: write nothing.
        """
        template = manifest["template"]
        if values_name(manifest):
            manifest = referring(manifest, None)
        if not self._referenced or not is_secret(template):
            return manifest
        bare, values = parted(template)
        if not values:
            return manifest
        metadata = manifest["metadata"]
        name = f"{names.VALUES_PREFIX}{secrets.token_hex(8)}"
        owners = [_owner(manifest)] if metadata.get("uid") else []
        kept = values_secret(
            name, self._namespace, names.MANIFEST_VALUES_TYPE, of=metadata["name"], values=values, owners=owners
        )
        if not dry_run:
            await self._client.create(SECRETS, kept)
        return {**referring(manifest, name), "template": bare}

    async def drop(self, manifest: Object) -> None:
        """Remove the values of a Manifest that could not be stored; what stays is removed later."""
        if (name := values_name(manifest)) is None:
            return
        try:
            await self._client.delete(SECRETS, name, self._namespace)
        except ApiError as error:
            log.info("Secret %s/%s is removed later: %s", self._namespace, name, error)


class Values:
    """The controller of the values of Manifests.

    Args:
        client: of the parent cluster.
        caches: of the parent cluster.
        settings: the hub's flags.
    """

    def __init__(self, client: Client, caches: Caches, settings: Settings) -> None:
        self._client = client
        self._caches = caches
        self._namespace = settings.reserved_namespace
        self._referenced = settings.references_values
        self._values = ManifestValues(
            client, caches.manifest_values, self._namespace, referenced=settings.references_values
        )
        self._unnamed: dict[str, float] = {}
        """When a Secret was first seen without a Manifest that names it, by UID."""
        self._controller = Controller(NAME, self._reconcile, workers=settings.workers, keys=self._keys)
        caches.stored_manifests.add_handler(self._on_manifest)
        caches.manifest_values.add_handler(self._on_values)

    async def run(self) -> None:
        """Work until cancelled; begins with all Manifests of Secrets, and all Secrets with values."""
        self._unnamed.clear()
        await self._controller.run()

    def _keys(self) -> Iterable[str]:
        concerned = (
            manifest["metadata"]["name"]
            for manifest in self._caches.stored_manifests.items()
            if is_secret(manifest.get("template"))
        )
        return {*concerned, *map(_manifest_name, self._caches.manifest_values.items())}

    def _on_manifest(self, change: Change) -> None:
        if any(is_secret(manifest.get("template")) for manifest in (change.old, change.new) if manifest):
            self._controller.enqueue(change.object["metadata"]["name"])

    def _on_values(self, change: Change) -> None:
        if change.new is None:
            self._unnamed.pop(change.object["metadata"]["uid"], None)
        self._controller.enqueue(_manifest_name(change.object))

    async def _reconcile(self, name: str) -> float | None:
        manifest = self._caches.stored_manifests.get(name, self._namespace)
        waits = [] if manifest is None else [await self._arrange(manifest)]
        named = values_name(manifest) if manifest else None
        for secret in self._caches.manifest_values.by_index(BY_MANIFEST, name):
            if manifest is not None and secret["metadata"]["name"] == named:
                self._unnamed.pop(secret["metadata"]["uid"], None)
                await self._own(secret, manifest)
            else:
                waits.append(await self._clean(secret, name, manifest))
        return min((wait for wait in waits if wait is not None), default=None)

    async def _arrange(self, manifest: Object) -> float | None:
        """Bring the values of a Manifest to where they belong."""
        name, template = values_name(manifest), manifest.get("template")
        if not is_secret(template) or is_incomplete(manifest):
            return None
        whole = self._caches.manifests.get(manifest["metadata"]["name"], self._namespace)
        if whole is None or whole.get(INCOMPLETE) == LOST:
            if name is not None:
                log.warning(
                    "the values of Manifest %s are lost: Secret %s/%s isn't there; create the object anew",
                    manifest["metadata"]["name"],
                    self._namespace,
                    name,
                )
            return None
        missing = name is not None and self._caches.manifest_values.get(name, self._namespace) is None
        fits = shows_values(template) is False if self._referenced else name is None
        if fits and not missing:
            return None
        if missing and (INCOMPLETE in whole or not await self._is_gone(name)):
            return _MENDING_DELAY  # the cache is late
        if whole["metadata"]["resourceVersion"] != manifest["metadata"]["resourceVersion"]:
            return _MENDING_DELAY
        stored = await self._values.keep(whole)
        try:
            await self._client.update(MANIFESTS, stored)
        except (Conflict, NotFound):
            await self._values.drop(stored)
            return None  # the change that was in the way brings us back
        log.info("the values of Manifest %s are in %s now", manifest["metadata"]["name"], values_name(stored) or "it")
        return None

    async def _is_gone(self, name: str | None) -> bool:
        try:
            await self._client.get(SECRETS, name or "", self._namespace)
        except NotFound:
            return True
        return False

    async def _own(self, secret: Object, manifest: Object) -> None:
        """Let a Secret with values go with its Manifest."""
        owner, metadata = _owner(manifest), secret["metadata"]
        if metadata.get("ownerReferences") == [owner]:
            return
        patch = {"metadata": {"ownerReferences": [owner]}}
        with contextlib.suppress(NotFound):
            await self._client.patch(SECRETS, metadata["name"], patch, self._namespace)

    async def _clean(self, secret: Object, name: str, manifest: Object | None) -> float | None:
        """Remove a Secret that no Manifest names, unless one that does is just being written, or was just read."""
        metadata = secret["metadata"]
        owners = {owner["uid"] for owner in metadata.get("ownerReferences") or ()}
        outlived = owners and (manifest is None or manifest["metadata"]["uid"] not in owners)
        since = self._unnamed.setdefault(metadata["uid"], time.monotonic())
        if not outlived and (wait := since + _GRACE - time.monotonic()) > 0:
            return wait
        try:
            if values_name(await self._client.get(MANIFESTS, name, self._namespace)) == metadata["name"]:
                return None
        except NotFound:
            pass
        with contextlib.suppress(NotFound):
            await self._client.delete(SECRETS, metadata["name"], self._namespace, uid=metadata["uid"])
        return None


class ValuesKey:
    """The key by which the names of Secrets with values of Descriptions are made; made once, kept on the parent.

    Args:
        client: of the parent cluster.
        namespace: where Manifests are kept.
    """

    def __init__(self, client: Client, namespace: str) -> None:
        self._client = client
        self._namespace = namespace
        self._key: bytes | None = None

    async def get(self) -> bytes:
        """Return the key; a Secret that holds none is replaced.

        Raises:
            ApiError: it can't be replaced.
        """
        for _ in range(_KEY_ATTEMPTS):
            if self._key is not None:
                return self._key
            try:
                secret = await self._client.get(SECRETS, names.VALUES_KEY_SECRET, self._namespace)
            except NotFound:
                secret = await self._make()
            self._key = _key_in(secret)
            if self._key is None:
                with contextlib.suppress(NotFound):
                    await self._client.delete(
                        SECRETS, names.VALUES_KEY_SECRET, self._namespace, uid=secret["metadata"].get("uid")
                    )
        if self._key is None:
            raise ApiError(500, "NoKey", f"Secret {self._namespace}/{names.VALUES_KEY_SECRET} holds no key")
        return self._key

    async def _make(self) -> Object:
        key = base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode()
        metadata: Object = {
            "name": names.VALUES_KEY_SECRET,
            "namespace": self._namespace,
            "labels": {names.CREATED_BY_LABEL: names.CREATED_BY_HUB},
        }
        body = {
            "apiVersion": SECRETS.api_version,
            "kind": SECRETS.kind,
            "metadata": metadata,
            "type": names.VALUES_KEY_TYPE,
            "immutable": True,
            "data": {"key": key},
        }
        try:
            return await self._client.create(SECRETS, body)
        except AlreadyExists:
            return await self._client.get(SECRETS, names.VALUES_KEY_SECRET, self._namespace)


def _key_in(secret: Object) -> bytes | None:
    try:
        return base64.b64decode((secret.get("data") or {}).get("key") or "", validate=True) or None
    except ValueError:
        return None


def _manifest_name(secret: Object) -> str:
    return str((secret["metadata"].get("annotations") or {}).get(names.VALUES_OF_ANNOTATION) or "")


def _owner(manifest: Object) -> Object:
    metadata = manifest["metadata"]
    return {
        "apiVersion": MANIFESTS.api_version,
        "kind": MANIFESTS.kind,
        "name": metadata["name"],
        "uid": metadata["uid"],
    }
