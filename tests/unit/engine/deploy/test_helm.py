"""The environment in which Helm runs; a script stands for it."""

import tempfile
from pathlib import Path

import pytest
from clusternet_engine.deploy.helm import Helm
from clusternet_engine.kube.config import ClusterConfig

CLUSTER = ClusterConfig(server="https://127.0.0.1:1", token="t")


@pytest.fixture
def helm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Helm:
    script = tmp_path / "helm"
    script.write_text('#!/bin/sh\nmkdir -p "$HELM_CACHE_HOME" 2>/dev/null && echo kept\necho "$HOME"\n')
    script.chmod(0o755)
    monkeypatch.setenv("HOME", "/home/of-the-user")
    return Helm(str(script))


async def run(helm: Helm) -> list[str]:
    return (await helm.run(CLUSTER, ["version"], subject="a", timeout=5)).splitlines()


async def test_caches_live_in_a_temporary_folder(helm: Helm) -> None:
    first, again = await run(helm), await run(helm)
    assert first == again
    assert first[0] == "kept"
    assert first[1].startswith(tempfile.gettempdir())


async def test_no_temporary_folder_no_caches_told_once(
    helm: Helm, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def missing() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr(tempfile, "gettempdir", missing)
    monkeypatch.setattr(tempfile, "mkdtemp", lambda *_, **__: missing())
    for _ in range(2):
        assert await run(helm) == ["/proc/self/none"]
    (told,) = caplog.messages
    assert told.startswith("no temporary folder can be written to (No usable temporary directory found in ['/tmp'])")
    assert told.endswith("mount one at /tmp, or set TMPDIR to one")
