"""The hub's own authority when the process has no file descriptors left."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest
from clusternet_engine.certificates import KeyPair, make_authority
from clusternet_engine.hub.api import trust
from clusternet_engine.kube.informer import Informer
from clusternet_engine.kube.resources import API_SERVICES
from clusternet_engine.serving import ServingTLS


class Parent:
    """A parent that holds the Secret of the authority and takes nothing else."""

    def __init__(self, pair: KeyPair) -> None:
        values = {"tls.crt": pair.certificate, "tls.key": pair.key, "ca.crt": pair.certificate}
        self._data = {name: base64.b64encode(value).decode() for name, value in values.items()}

    async def get(self, *_: object) -> dict[str, Any]:
        return {"metadata": {"resourceVersion": "1"}, "data": self._data}


async def test_want_of_descriptors_neither_ends_it_nor_replaces_the_authority(monkeypatch: pytest.MonkeyPatch) -> None:
    failures = [OSError(24, "Too many open files") for _ in range(3)]
    load = trust.load_key_pair

    def fails_at_first(*arguments: Any) -> None:
        if failures:
            raise failures.pop()
        load(*arguments)

    monkeypatch.setattr(trust, "load_key_pair", fails_at_first)
    monkeypatch.setattr(trust, "FIRST_DELAY", 0.01)
    parent: Any = Parent(make_authority("test"))
    keeper = trust.Trust(parent, ServingTLS(), Informer(parent, API_SERVICES), (), "system", own_certificate=True)
    task = asyncio.create_task(keeper.run())
    for _ in range(200):
        await asyncio.sleep(0.02)
        if not failures and keeper._ready:
            break
    assert not task.done()
    keeper.check()
    task.cancel()
    await asyncio.wait([task])
