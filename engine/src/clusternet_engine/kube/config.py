"""Where an API server is and how to log in: kubeconfig files and the in-cluster ServiceAccount.

Kubeconfigs are read with PyYAML, without lightkube. Measured (Python 3.11, x86-64, ``VmRSS``, CPU of the import):
aiohttp + orjson 34 MB, 209 ms; with PyYAML 35 MB, 212 ms; with ``lightkube.config.kubeconfig`` 40 MB, 314 ms, since
its package imports httpx and msgspec. Nor does its loader know ``proxy-url``, ``tls-server-name`` or exec
credentials of ``client.authentication.k8s.io/v1``.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

SERVICE_ACCOUNT_FOLDER = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class ConfigError(Exception):
    """The kubeconfig, the environment or the ServiceAccount folder can't be used; the text names file and field."""


@dataclass(frozen=True)
class ExecCommand:
    """A credential plugin of a kubeconfig user (``exec``).

    :param env: variables added to the process's environment.
    """

    api_version: str
    command: str
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    install_hint: str = ""


@dataclass(frozen=True)
class ClusterConfig:
    """One API server and one identity.

    :param server: base URL, without a trailing slash.
    :param ca_data: PEM bundle to trust; ``None`` = the system's store.
    :param token: bearer token.
    :param token_file: file with the bearer token; wins over ``token`` and is read again as it is rotated.
    :param client_certificate: PEM certificate of the client; needs ``client_key``.
    :param client_key: PEM key of the client.
    :param exec_command: credential plugin that yields the token.
    :param insecure_skip_tls_verify: do not verify the server; must be asked for.
    :param tls_server_name: name to verify the server's certificate against, if not the URL's host.
    :param namespace: namespace of the context.
    :param proxy_url: HTTP proxy; ``None`` = what ``HTTPS_PROXY``/``NO_PROXY`` say.
    """

    server: str
    ca_data: bytes | None = None
    token: str | None = field(default=None, repr=False)
    token_file: Path | None = None
    client_certificate: bytes | None = field(default=None, repr=False)
    client_key: bytes | None = field(default=None, repr=False)
    exec_command: ExecCommand | None = None
    insecure_skip_tls_verify: bool = False
    tls_server_name: str | None = None
    namespace: str = "default"
    proxy_url: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not self.server.startswith(("https://", "http://")):
            raise ConfigError(f"server {self.server!r}: the URL must start with https:// or http://")
        object.__setattr__(self, "server", self.server.rstrip("/"))
        if (self.client_certificate is None) != (self.client_key is None):
            raise ConfigError("client certificate and client key must be given together")

    @classmethod
    def load(cls, kubeconfig: Path | None = None, context: str | None = None) -> ClusterConfig:
        """What a program uses: ``--kubeconfig``, else ``$KUBECONFIG``, else the in-cluster ServiceAccount.

        :raises ConfigError: none of them is there, or the one found is unusable.
        """
        if kubeconfig is not None or os.environ.get("KUBECONFIG"):
            return cls.from_kubeconfig(kubeconfig, context)
        if os.environ.get("KUBERNETES_SERVICE_HOST"):
            return cls.in_cluster()
        raise ConfigError("no cluster given: use --kubeconfig, set KUBECONFIG, or run in a pod")

    @classmethod
    def from_kubeconfig(cls, path: Path | None, context: str | None = None) -> ClusterConfig:
        """Read one context of a kubeconfig file.

        :param path: the file; ``None`` = the first file of ``$KUBECONFIG``.
        :param context: ``None`` = the file's ``current-context``.
        :raises ConfigError: file unreadable, not a kubeconfig, context, cluster or user missing or unusable.
        """
        if path is None:
            path = Path(os.environ.get("KUBECONFIG", "").split(os.pathsep)[0])
        path = path.expanduser()
        try:
            document = yaml.safe_load(path.read_bytes())
        except OSError as error:
            raise ConfigError(f"kubeconfig {path}: {error.strerror}") from None
        except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError):
            raise ConfigError(f"kubeconfig {path}: not YAML") from None
        if not isinstance(document, dict):
            raise ConfigError(f"kubeconfig {path}: not a kubeconfig")
        return cls.from_document(document, folder=path.parent, context=context, origin=f"kubeconfig {path}")

    @classmethod
    def from_document(
        cls, document: Mapping[str, Any], *, folder: Path, context: str | None = None, origin: str = "kubeconfig"
    ) -> ClusterConfig:
        """Read one context of a parsed kubeconfig.

        :param folder: where relative file names in it start.
        :param origin: how errors call it.
        :raises ConfigError: as :meth:`from_kubeconfig`.
        """
        name = context or document.get("current-context")
        if not name:
            raise ConfigError(f"{origin}: no context given and no current-context set")
        chosen = _named(document, "contexts", "context", name, origin)
        cluster = _named(document, "clusters", "cluster", chosen.get("cluster"), origin)
        user = _named(document, "users", "user", chosen["user"], origin) if chosen.get("user") else {}
        for field_name in ("username", "auth-provider"):
            if user.get(field_name):
                raise ConfigError(f"{origin}: user field {field_name} is not supported; use token, certificate or exec")
        for field_name in ("as", "as-uid", "as-groups", "as-user-extra"):
            if user.get(field_name):
                raise ConfigError(f"{origin}: user field {field_name} is not supported; nobody can be impersonated")
        token_file = _text(user, "tokenFile", origin)
        return cls(
            server=str(cluster.get("server") or ""),
            ca_data=_pem(cluster, "certificate-authority", folder, origin),
            token=_text(user, "token", origin),
            token_file=folder / token_file if token_file else None,
            client_certificate=_pem(user, "client-certificate", folder, origin),
            client_key=_pem(user, "client-key", folder, origin),
            exec_command=_exec_command(user["exec"], folder, origin) if user.get("exec") else None,
            insecure_skip_tls_verify=bool(cluster.get("insecure-skip-tls-verify")),
            tls_server_name=_text(cluster, "tls-server-name", origin),
            namespace=_text(chosen, "namespace", origin) or "default",
            proxy_url=_text(cluster, "proxy-url", origin),
        )

    @classmethod
    def in_cluster(cls, folder: Path = SERVICE_ACCOUNT_FOLDER) -> ClusterConfig:
        """The API server and ServiceAccount of the pod this process runs in.

        :raises ConfigError: not in a pod.
        """
        host = os.environ.get("KUBERNETES_SERVICE_HOST", "")
        port = os.environ.get("KUBERNETES_SERVICE_PORT", "")
        if not host or not port:
            raise ConfigError("KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set: not in a pod")
        try:
            ca_data = (folder / "ca.crt").read_bytes()
            namespace = (folder / "namespace").read_text().strip()
        except OSError as error:
            raise ConfigError(f"{error.filename}: {error.strerror}") from None
        return cls(
            server=f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
            ca_data=ca_data,
            token_file=folder / "token",
            namespace=namespace,
        )


def _named(document: Mapping[str, Any], plural: str, singular: str, name: Any, origin: str) -> dict[str, Any]:
    entries = document.get(plural)
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict) and entry.get("name") == name and isinstance(entry.get(singular), dict):
            found: dict[str, Any] = entry[singular]
            return found
    raise ConfigError(f"{origin}: no {singular} named {name!r}")


def _text(section: Mapping[str, Any], name: str, origin: str) -> str | None:
    """Return a field that is a text, if it is there.

    Raises:
        ConfigError: it is something else.
    """
    value = section.get(name)
    if value is not None and not isinstance(value, str):
        raise ConfigError(f"{origin}: {name} is not a text")
    return value


def _pem(section: Mapping[str, Any], name: str, folder: Path, origin: str) -> bytes | None:
    if data := section.get(f"{name}-data"):
        try:
            return base64.b64decode(data, validate=True)
        except (binascii.Error, TypeError, ValueError):
            raise ConfigError(f"{origin}: {name}-data is not base64") from None
    if file := _text(section, name, origin):
        try:
            return Path(folder, file).read_bytes()
        except OSError as error:
            raise ConfigError(f"{origin}: {name} {folder / file}: {error.strerror}") from None
        except ValueError as error:
            raise ConfigError(f"{origin}: {name}: {error}") from None
    return None


def _exec_command(section: Any, folder: Path, origin: str) -> ExecCommand:
    if not isinstance(section, dict) or not (command := str(section.get("command") or "")):
        raise ConfigError(f"{origin}: exec has no command")
    args, env = section.get("args") or [], section.get("env") or []
    if not isinstance(args, list) or not isinstance(env, list) or not all(map(_is_variable, env)):
        raise ConfigError(f"{origin}: args of exec is a list, and env a list with name and value")
    return ExecCommand(
        api_version=str(section.get("apiVersion") or ""),
        command=str(folder / command) if "/" in command else command,
        args=tuple(map(str, args)),
        env={str(entry["name"]): str(entry["value"]) for entry in env},
        install_hint=str(section.get("installHint") or ""),
    )


def _is_variable(entry: Any) -> bool:
    return isinstance(entry, dict) and {"name", "value"} <= entry.keys()
