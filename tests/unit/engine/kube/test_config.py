"""Kubeconfigs, good and bad."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml
from clusternet_engine.kube.config import ClusterConfig, ConfigError


def document(cluster: dict[str, Any] | None = None, user: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "one",
        "contexts": [
            {"name": "one", "context": {"cluster": "c", "user": "u", "namespace": "ns"}},
            {"name": "two", "context": {"cluster": "c"}},
            {"name": "broken", "context": {"cluster": "missing"}},
        ],
        "clusters": [{"name": "c", "cluster": {"server": "https://example.test:6443/", **(cluster or {})}}],
        "users": [{"name": "u", "user": user or {"token": "secret-token"}}],
    }


def write(folder: Path, content: dict[str, Any]) -> Path:
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(content))
    return path


def test_everything_static(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_bytes(b"CA")
    data = base64.b64encode(b"KEY").decode()
    cluster = {"certificate-authority": "ca.crt", "proxy-url": "http://p:1", "tls-server-name": "other"}
    user = {"client-certificate-data": data, "client-key-data": data, "tokenFile": "token"}
    config = ClusterConfig.from_kubeconfig(write(tmp_path, document(cluster, user)))
    assert config == ClusterConfig(
        server="https://example.test:6443",
        ca_data=b"CA",
        token_file=tmp_path / "token",
        client_certificate=b"KEY",
        client_key=b"KEY",
        namespace="ns",
        proxy_url="http://p:1",
        tls_server_name="other",
    )


def test_context_is_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, document())
    assert ClusterConfig.from_kubeconfig(path).token == "secret-token"
    assert ClusterConfig.from_kubeconfig(path, "two").token is None
    monkeypatch.setenv("KUBECONFIG", str(path))
    assert ClusterConfig.load(context="two").namespace == "default"
    assert ClusterConfig.load().namespace == "ns"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"current-context": "nothing"}, "no context named 'nothing'"),
        ({"current-context": "broken"}, "no cluster named 'missing'"),
        ({"current-context": ""}, "no current-context"),
        ({"contexts": None}, "no context named 'one'"),
        ({"clusters": [{"name": "c", "cluster": {"server": "example.test"}}]}, "must start with https://"),
        (
            {"users": [{"name": "u", "user": {"username": "x", "password": "secret-token"}}]},
            "username is not supported",
        ),
        ({"users": [{"name": "u", "user": {"auth-provider": {"name": "oidc"}}}]}, "auth-provider is not supported"),
        *(
            ({"users": [{"name": "u", "user": {"token": "secret-token", name: value}}]}, f"{name} is not supported")
            for name, value in {"as": "jane", "as-uid": "1", "as-groups": ["a"], "as-user-extra": {"b": ["c"]}}.items()
        ),
        ({"users": [{"name": "u", "user": {"client-key-data": "%%%"}}]}, "client-key-data is not base64"),
        ({"users": [{"name": "u", "user": {"client-key-data": "eA=="}}]}, "must be given together"),
        ({"users": [{"name": "u", "user": {"client-key": "nowhere"}}]}, "client-key .*nowhere: No such file"),
        ({"users": [{"name": "u", "user": {"exec": {"args": []}}}]}, "exec has no command"),
        ({"users": [{"name": "u", "user": {"exec": "aws"}}]}, "exec has no command"),
        ({"users": [{"name": "u", "user": {"exec": {"command": "a", "env": [{"name": "A"}]}}}]}, "env a list"),
        ({"users": [{"name": "u", "user": {"token": 1}}]}, "token is not a text"),
        ({"users": [{"name": "u", "user": {"client-key": "\0"}}]}, "client-key"),
    ],
)
def test_bad_kubeconfigs_are_named(tmp_path: Path, change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint) as raised:
        ClusterConfig.from_kubeconfig(write(tmp_path, {**document(), **change}))
    assert "secret-token" not in str(raised.value)


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe\xfa", b"- 1", b""])
def test_files_that_are_no_kubeconfig(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "kubeconfig"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="kubeconfig"):
        ClusterConfig.from_kubeconfig(path)


def test_no_cluster_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(ConfigError, match="no cluster given"):
        ClusterConfig.load()
    with pytest.raises(ConfigError, match="No such file"):
        ClusterConfig.load(tmp_path / "missing")


def test_in_cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    with pytest.raises(ConfigError, match=r"ca\.crt: No such file"):
        ClusterConfig.in_cluster(tmp_path)
    (tmp_path / "ca.crt").write_bytes(b"CA")
    (tmp_path / "namespace").write_text("mine")
    config = ClusterConfig.in_cluster(tmp_path)
    assert config.server == "https://[fd00::1]:443"
    assert config.token_file == tmp_path / "token"
    assert config.namespace == "mine"


def test_secrets_are_not_shown() -> None:
    config = ClusterConfig(
        server="https://x", token="secret-token", client_certificate=b"secret-cert", client_key=b"secret-key"
    )
    assert "secret" not in repr(config)
