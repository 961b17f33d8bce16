"""Helm where no temporary folder can be written to, as in a container with a read-only root."""

import random
import tempfile
from pathlib import Path

import pytest
from charts import pack
from clusternet_engine.deploy.helm import Helm
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.config import ClusterConfig
from clusternet_engine.kube.errors import NotFound
from clusternet_engine.kube.resources import Resource
from deploying import deployer_token

CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap", namespaced=True)
METADATA = {"apiVersion": "v2", "name": "hello", "version": "1.0.0"}
TEMPLATE = b"""\
kind: ConfigMap
apiVersion: v1
metadata: {name: {{ .Release.Name }}}
data: {greeting: {{ .Values.greeting }}}
"""


async def test_a_release_is_installed_upgraded_and_uninstalled(
    child: Client, helm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object, **__: object) -> str:
        raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp']")

    config = ClusterConfig(server=child.config.server, ca_data=child.config.ca_data, token=await deployer_token(child))
    name = f"hello-{random.randbytes(4).hex()}"
    archive = pack(METADATA, {"templates/greeting.yaml": TEMPLATE})
    program = Helm(str(helm))
    monkeypatch.setattr(tempfile, "mkdtemp", missing)
    monkeypatch.setenv("TMPDIR", "/proc/self/none")  # where Helm itself looks
    for greeting in ("moin", "servus"):
        await program.run(
            config,
            ["upgrade", "--install", name, "{chart}", "--namespace", "default"],
            subject=name,
            timeout=60,
            archive=archive,
            values={"greeting": greeting},
        )
        assert (await child.get(CONFIG_MAPS, name, "default"))["data"] == {"greeting": greeting}
    await program.run(config, ["uninstall", name, "--namespace", "default"], subject=name, timeout=60)
    with pytest.raises(NotFound):
        await child.get(CONFIG_MAPS, name, "default")
