# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From connection settings to what a request needs right now: URL, trust, certificate, headers."""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Optional
from urllib.parse import quote

from ansible.module_utils.basic import missing_required_lib
from ansible_collections.clusternet.core.plugins.module_utils import kubeconfig
from ansible_collections.clusternet.core.plugins.module_utils.auth import ConnectionSettings
from ansible_collections.clusternet.core.plugins.module_utils.errors import ConfigError, MissingLibrary
from ansible_collections.clusternet.core.plugins.module_utils.paths import is_path

SERVICE_ACCOUNT_FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount"
PLUGIN_FIELDS = ("exec", "auth-provider")


@dataclass(frozen=True)
class Access:
    """How to reach one API server. Files are read already, so two equal values mean that nothing was renewed."""

    server: str
    ca: Optional[str] = field(default=None, repr=False)
    client_cert: Optional[str] = field(default=None, repr=False)
    client_key: Optional[str] = field(default=None, repr=False)
    verify: bool = True
    tls_server_name: Optional[str] = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    proxy: Optional[str] = field(default=None, repr=False)
    no_proxy: Optional[str] = None
    proxy_headers: Mapping[str, str] = field(default_factory=dict, repr=False)


def resolve(settings: ConnectionSettings, environ: Optional[Mapping[str, str]] = None) -> Access:
    """Read kubeconfig, token files and certificates, run credential plugins; every call reads them anew.

    A host without a kubeconfig and without a context stands for itself: credentials of a default kubeconfig are never
    sent there. Without all three a pod's ServiceAccount is used, else the default kubeconfig.

    :raises ConfigError: a file is missing or malformed, naming the option
    :raises MissingLibrary: the kubeconfig asks for a credential plugin and the package ``kubernetes`` is missing
    """
    environ = os.environ if environ is None else environ
    if _uses_kubeconfig(settings, environ):
        access = _from_kubeconfig(settings, environ)
    elif settings.host:
        access = Access(server=settings.host)
    else:
        access = _from_service_account(environ)
    return _with_options(access, settings)


def server(settings: ConnectionSettings, environ: Optional[Mapping[str, str]] = None) -> str:
    """URL of the API server, without reading credentials and without any request.

    :raises ConfigError: there is no kubeconfig to take it from
    """
    if settings.host:
        return settings.host.rstrip("/")
    environ = os.environ if environ is None else environ
    if _uses_kubeconfig(settings, environ):
        return _cluster_server(kubeconfig.entries(kubeconfig.load(settings.kubeconfig, environ), settings.context)[0])
    return _service_account_server(environ)


def renewing_credentials(settings: ConnectionSettings, environ: Optional[Mapping[str, str]] = None) -> dict[str, Any]:
    """Those fields of a kubeconfig's user that make or read its credentials anew; empty if these are fixed.

    :raises ConfigError: there is no kubeconfig to take them from
    """
    environ = os.environ if environ is None else environ
    if _has_credentials(settings):
        return {}
    if not _uses_kubeconfig(settings, environ):
        return {} if settings.host else {"tokenFile": f"{SERVICE_ACCOUNT_FOLDER}/token"}
    user = kubeconfig.entries(kubeconfig.load(settings.kubeconfig, environ), settings.context)[1]
    names = PLUGIN_FIELDS if any(user.get(name) for name in PLUGIN_FIELDS) else ("tokenFile",)
    return {name: user[name] for name in names if user.get(name)}


def _uses_kubeconfig(settings: ConnectionSettings, environ: Mapping[str, str]) -> bool:
    return bool(settings.kubeconfig or settings.context) or not (settings.host or _in_cluster(environ))


def _cluster_server(cluster: Mapping[str, Any]) -> str:
    if not cluster.get("server"):
        raise ConfigError("kubeconfig", "The kubeconfig names no server for its cluster.")
    return cluster["server"].rstrip("/")


def _service_account_server(environ: Mapping[str, str]) -> str:
    host = environ["KUBERNETES_SERVICE_HOST"]
    return f"https://{f'[{host}]' if ':' in host else host}:{environ.get('KUBERNETES_SERVICE_PORT') or 443}"


def _in_cluster(environ: Mapping[str, str]) -> bool:
    return bool(environ.get("KUBERNETES_SERVICE_HOST")) and os.path.exists(f"{SERVICE_ACCOUNT_FOLDER}/token")


def _from_service_account(environ: Mapping[str, str]) -> Access:
    return Access(
        server=_service_account_server(environ),
        ca=_file("ca_cert", f"{SERVICE_ACCOUNT_FOLDER}/ca.crt"),
        headers=_bearer("api_key", _file("api_key", f"{SERVICE_ACCOUNT_FOLDER}/token")),
    )


def _from_kubeconfig(settings: ConnectionSettings, environ: Mapping[str, str]) -> Access:
    config = kubeconfig.load(settings.kubeconfig, environ)
    cluster, user = kubeconfig.entries(config, settings.context)
    access = Access(
        server=settings.host or _cluster_server(cluster),
        ca=_pem(cluster, "certificate-authority"),
        verify=not cluster.get("insecure-skip-tls-verify"),
        tls_server_name=cluster.get("tls-server-name"),
        proxy=cluster.get("proxy-url"),
    )
    if _has_credentials(settings):
        return access
    if any(user.get(name) for name in PLUGIN_FIELDS):
        return _with_plugin(access, config, user, settings)
    return replace(
        access,
        client_cert=_pem(user, "client-certificate"),
        client_key=_pem(user, "client-key"),
        headers={**_authorization(user), **_impersonated_by(user)},
    )


def _with_plugin(
    access: Access, config: dict[str, Any], user: Mapping[str, Any], settings: ConnectionSettings
) -> Access:
    try:
        from kubernetes import client as kubernetes_client
        from kubernetes import config as kubernetes_config
    except ImportError as error:
        raise MissingLibrary(
            "kubernetes",
            missing_required_lib("kubernetes", reason="because the kubeconfig gets its credentials from a plugin"),
        ) from error
    loaded = kubernetes_client.Configuration()
    loaded.api_key = {}
    try:
        kubernetes_config.load_kube_config_from_dict(
            config, context=settings.context, client_configuration=loaded, persist_config=settings.persist_config
        )
    except Exception as error:  # the package lets errors of any type through, those of its plugins too
        raise ConfigError("kubeconfig", f"The credential plugin of the kubeconfig failed: {error}") from error
    token = loaded.api_key.get("authorization") or loaded.api_key.get("BearerToken")
    if not (token or loaded.cert_file):
        raise ConfigError(
            "kubeconfig", "The credential plugin of the kubeconfig gave neither a token nor a certificate."
        )
    return replace(
        access,
        client_cert=_file("kubeconfig", loaded.cert_file) if loaded.cert_file else None,
        client_key=_file("kubeconfig", loaded.key_file) if loaded.key_file else None,
        headers={**({"authorization": token} if token else {}), **_impersonated_by(user)},
    )


def _with_options(access: Access, settings: ConnectionSettings) -> Access:
    changes: dict[str, Any] = {
        "server": (settings.host or access.server).rstrip("/"),
        "no_proxy": settings.no_proxy,
        "proxy_headers": settings.proxy_headers,
        "headers": {
            **access.headers,
            **(
                _bearer("api_key", settings.api_key)
                if settings.api_key
                else _basic(settings.username, settings.password)
            ),
            **_impersonation(settings.impersonate_user, settings.impersonate_groups),
        },
    }
    if settings.client_cert:
        changes["client_cert"] = _file("client_cert", settings.client_cert)
        changes["client_key"] = _file("client_key", settings.client_key) if settings.client_key else None
    if settings.ca_cert:
        changes["ca"] = _file("ca_cert", settings.ca_cert)
    if settings.validate_certs is not None:
        changes["verify"] = settings.validate_certs
    if settings.proxy:
        changes["proxy"] = settings.proxy
    if not changes["server"].startswith(("https://", "http://")):
        raise ConfigError("host", f"host must be a URL that begins with https://, not '{changes['server']}'.")
    return replace(access, **changes)


def _has_credentials(settings: ConnectionSettings) -> bool:
    return bool(settings.api_key or (settings.username and settings.password) or settings.client_cert)


def _authorization(user: Mapping[str, Any]) -> dict[str, str]:
    if user.get("tokenFile"):
        return _bearer("kubeconfig", _file("kubeconfig", user["tokenFile"]))
    if user.get("token"):
        return _bearer("kubeconfig", user["token"])
    return _basic(user.get("username"), user.get("password"))


def _bearer(option: str, token: str) -> dict[str, str]:
    token = token.strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigError(option, f"The token given by {option} is empty or has characters no token has.")
    return {"authorization": f"Bearer {token}"}


def _basic(username: Optional[str], password: Optional[str]) -> dict[str, str]:
    if not (username and password):
        return {}
    return {"authorization": "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()}


def _impersonated_by(user: Mapping[str, Any]) -> dict[str, Any]:
    headers = _impersonation(user.get("as"), user.get("as-groups") or ())
    if user.get("as-uid"):
        headers["impersonate-uid"] = user["as-uid"]
    for name, values in (user.get("as-user-extra") or {}).items():
        headers[f"impersonate-extra-{quote(name.lower(), safe='')}"] = tuple(values)
    return headers


def _impersonation(user: Optional[str], groups: Any) -> dict[str, Any]:
    headers: dict[str, Any] = {"impersonate-user": user} if user else {}
    if groups:
        headers["impersonate-group"] = tuple(groups)
    return headers


def _pem(values: Mapping[str, Any], name: str) -> Optional[str]:
    data = values.get(f"{name}-data")
    if data:
        try:
            return base64.b64decode(data).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise ConfigError("kubeconfig", f"{name}-data of the kubeconfig is not base64 of PEM text.") from error
    return _file("kubeconfig", values[name]) if values.get(name) else None


def _file(option: str, path: str) -> str:
    if not is_path(path):
        raise ConfigError(
            option, f"What {option} gives as the path of a file is no path. Set the path, not the content."
        )
    try:
        with open(os.path.expandvars(os.path.expanduser(path)), encoding="utf-8") as file:
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(option, f"Cannot read the file {path} given by {option}: {error}") from error
