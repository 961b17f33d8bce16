"""Reads the values of Secrets that a Description refers to, just before they are applied."""

from __future__ import annotations

from collections.abc import Iterable

import orjson

from clusternet_engine.kube.client import Client
from clusternet_engine.kube.errors import NotFound
from clusternet_engine.kube.resources import SECRETS, Object
from clusternet_engine.model import constants as names
from clusternet_engine.model.remembered import Remembered
from clusternet_engine.model.secret_values import is_secret, joined, referring, values_in, values_name

_REMEMBERED = 4 * 2**20
"""Bytes of values that are kept in memory; they never change."""


class ValuesMissing(Exception):
    """The Secret with the values of an object isn't there; the text says which."""


class ValuesReader:
    """Completes the objects of Descriptions.

    Args:
        parent: client of the parent cluster.
    """

    def __init__(self, parent: Client) -> None:
        self._parent = parent
        self._known: Remembered[tuple[str, str], Object] = Remembered(_REMEMBERED)

    async def whole(self, objects: Iterable[Object], namespace: str) -> list[Object]:
        """Return objects with their values.

        Args:
            objects: of a Description.
            namespace: of the Description.

        Raises:
            ValuesMissing: the hub hasn't written them yet, or they have been replaced; later may help.
            MalformedValues: a Secret that is named holds something else.
            ApiError: a Secret can't be read.
            ConnectionFailed: the parent can't be reached.
        """
        return [await self._one(obj, namespace) for obj in objects]

    async def _one(self, obj: Object, namespace: str) -> Object:
        name = values_name(obj) if is_secret(obj) else None
        if name is None:
            return obj
        values = self._known.get((namespace, name))
        if values is None:
            try:
                secret = await self._parent.get(SECRETS, name, namespace)
            except NotFound:
                target = "/".join(filter(None, (obj["metadata"].get("namespace"), obj["metadata"]["name"])))
                raise ValuesMissing(f"Secret {target} waits for its values in Secret {namespace}/{name}") from None
            values = values_in(secret, names.DESCRIPTION_VALUES_TYPE)
            self._known.put((namespace, name), values, len(orjson.dumps(values)))
        return referring(joined(obj, values), None)
