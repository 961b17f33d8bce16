# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Kubeconfigs: read, merge, choose a context. Paths inside come out absolute, as kubectl reads them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any, Optional, Union

from ansible_collections.clusternet.core.plugins.module_utils.errors import ConfigError
from ansible_collections.clusternet.core.plugins.module_utils.kubernetes_yaml import read_all
from ansible_collections.clusternet.core.plugins.module_utils.paths import is_path

DEFAULT_PATH = "~/.kube/config"
_SECTIONS = {"clusters": "cluster", "contexts": "context", "users": "user"}
_SECRETS = ("token", "password", "client-key-data")
_PATHS = {"clusters": ("certificate-authority",), "users": ("client-certificate", "client-key", "tokenFile")}


def load(source: Union[str, Mapping[str, Any], None], environ: Optional[Mapping[str, str]] = None) -> dict[str, Any]:
    """Read a kubeconfig.

    :param source: a path (``~`` is the home folder, relative means to the working directory), several paths joined by
        the separator of the platform, or the content as dictionary; ``None`` means ``$KUBECONFIG``, else
        ``~/.kube/config``
    :returns: one kubeconfig; of entries with the same name the first wins, as in kubectl
    :raises ConfigError: no file is there, or it is not a kubeconfig, or a content is given as text
    :raises MissingLibrary: the file is YAML and PyYAML is not installed
    """
    if isinstance(source, Mapping):
        return dict(source)
    environ = os.environ if environ is None else environ
    given = source or environ.get("KUBECONFIG") or DEFAULT_PATH
    if not is_path(given):
        raise ConfigError(
            "kubeconfig",
            "kubeconfig is a text that is no path. Set it to the path of a file, or to the content as a dictionary "
            "(filter from_yaml).",
        )
    paths = [os.path.abspath(os.path.expandvars(os.path.expanduser(path))) for path in given.split(os.pathsep) if path]
    found = [path for path in paths if os.path.exists(path)]
    if not found:
        raise ConfigError(
            "kubeconfig",
            f"There is no kubeconfig at {' or '.join(paths)}. Set kubeconfig (or K8S_AUTH_KUBECONFIG) to one, "
            "or set host and api_key.",
        )
    return _merge([_with_absolute_paths(_read(path), os.path.dirname(path)) for path in found])


def public_texts(source: Any) -> set[str]:
    """Return the texts in an option ``kubeconfig`` that are no secrets.

    That is its path, or in a dictionary names, paths, and what stands beside the credentials. Ansible hides every text
    of an option with ``no_log``, in results too; a context named ``parent`` would make that word disappear from all of
    them.
    """
    if isinstance(source, str):
        return {source} if is_path(source) else set()
    if not isinstance(source, Mapping):
        return set()
    texts = [source.get("apiVersion"), source.get("kind"), source.get("current-context")]
    for section, kind in _SECTIONS.items():
        for item in _mappings(source.get(section)):
            texts.append(item.get("name"))
            values = _mapping(item.get(kind))
            if section == "users":
                texts.extend(_user_paths(values))
            else:
                texts.extend(text for name, text in values.items() if name != "proxy-url")
    return {text for text in texts if isinstance(text, str)} - _secret_texts(source)


def _user_paths(user: Mapping[str, Any]) -> set[str]:
    """Return the paths in a user's section, but no contents that stand there in place of one."""
    found = [*(user.get(name) for name in _PATHS["users"]), _mapping(user.get("exec")).get("command")]
    return {path for path in found if isinstance(path, str) and is_path(path)}


def _secret_texts(source: Mapping[str, Any]) -> set[str]:
    users = [_mapping(item.get("user")) for item in _mappings(source.get("users"))]
    return {user[name] for user in users for name in _SECRETS if isinstance(user.get(name), str)}


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def entries(config: Mapping[str, Any], context: Optional[str] = None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Choose the cluster and the user of a context.

    :param context: name of the context; ``None`` means ``current-context``
    :returns: the ``cluster`` and the ``user`` mapping
    :raises ConfigError: a name is not there
    """
    name = context or config.get("current-context")
    if not name:
        raise ConfigError("context", "The kubeconfig has no current-context; name one with context.")
    chosen = _entry(config, "contexts", name, "context")
    cluster = _entry(config, "clusters", chosen.get("cluster"), "kubeconfig")
    user = _entry(config, "users", chosen["user"], "kubeconfig") if chosen.get("user") else {}
    return cluster, user


def _entry(config: Mapping[str, Any], section: str, name: Any, option: str) -> dict[str, Any]:
    for item in config.get(section) or []:
        if item.get("name") == name:
            return item.get(_SECTIONS[section]) or {}
    known = ", ".join(sorted(str(item.get("name")) for item in config.get(section) or [])) or "none"
    raise ConfigError(option, f"The kubeconfig has no {_SECTIONS[section]} '{name}' (there: {known}).")


def _read(path: str) -> dict[str, Any]:
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("kubeconfig", f"Cannot read the kubeconfig {path}: {error}") from error
    try:
        config = json.loads(text) if text.lstrip().startswith("{") else _yaml(text)
    except ValueError as error:
        raise ConfigError("kubeconfig", f"The kubeconfig {path} is neither JSON nor YAML.") from error
    if not isinstance(config, dict):
        raise ConfigError("kubeconfig", f"{path} is not a kubeconfig.")
    return config


def _yaml(text: str) -> Any:
    documents = read_all(text)
    if len(documents) > 1:
        raise ValueError("several documents")
    return documents[0] if documents else None


def _with_absolute_paths(config: dict[str, Any], folder: str) -> dict[str, Any]:
    for section, names in _PATHS.items():
        for item in config.get(section) or []:
            values = item.get(_SECTIONS[section]) or {}
            for name in names:
                if values.get(name):
                    values[name] = os.path.join(folder, values[name])
            command = (values.get("exec") or {}).get("command", "")
            if "/" in command:
                values["exec"]["command"] = os.path.join(folder, command)
    return config


def _merge(configs: list[dict[str, Any]]) -> dict[str, Any]:
    merged: dict[str, Any] = {"apiVersion": "v1", "kind": "Config"}
    for config in configs:
        if config.get("current-context"):
            merged.setdefault("current-context", config["current-context"])
        for section in _SECTIONS:
            known = {item.get("name") for item in merged.setdefault(section, [])}
            merged[section].extend(item for item in config.get(section) or [] if item.get("name") not in known)
    return merged
