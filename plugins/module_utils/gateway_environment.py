# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The environment in which Kubernetes programs reach a child through a gateway."""

from __future__ import annotations

from typing import Mapping

_PREFERRED = ("API_KEY", "CA_CERT", "CERT_FILE", "HOST", "KEY_FILE", "PASSWORD", "PROXY", "SSL_CA_CERT", "USERNAME")


def environment(gateway_kubeconfig: str, namespace: str, name: str) -> dict[str, str]:
    """The environment for the cluster I(namespace/name), by the file that the gateway writes for it alone.

    That file has one context, which must be named where somebody's own environment names another. Nor may a proxy for
    the parent be used on the way to the gateway.
    """
    context = f"{namespace}.{name}"
    path = f"{gateway_kubeconfig}.d/{context}"
    return {
        "K8S_AUTH_KUBECONFIG": path,
        "K8S_AUTH_CONTEXT": context,
        "K8S_AUTH_NO_PROXY": "127.0.0.1",
        "KUBECONFIG": path,
    }


def preferred_to_kubeconfigs(environ: Mapping[str, str]) -> list[str]:
    """Those variables that kubernetes.core heeds even where a kubeconfig is given; they can't be unset for a task."""
    return sorted(f"K8S_AUTH_{name}" for name in _PREFERRED if environ.get(f"K8S_AUTH_{name}"))
