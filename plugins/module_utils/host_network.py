# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sees whether a host reaches what it needs, and can be reached by the address that it tells."""

from __future__ import annotations

import http.client
import ipaddress
from typing import Iterator, Optional
from urllib.error import HTTPError

from ansible.module_utils.urls import open_url

_TIMEOUT = 10  # seconds


def unreachable(url: str) -> Optional[str]:
    """Return why there is no answer at a URL, by the proxies that the environment names; None if there is any answer.

    Certificates aren't verified: this sends nothing and believes nothing, and who comes later verifies.
    """
    try:
        open_url(url, method="HEAD", timeout=_TIMEOUT, validate_certs=False, follow_redirects="none").close()
    except HTTPError:
        return None
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        return str(getattr(reason, "strerror", None) or reason)
    return None


def advertised(address: str, bind_address: str, names: dict[str, str]) -> Iterator[str]:
    """Yield a sentence for each thing that keeps a parent's API server from reaching a hub by an address.

    Args:
        address: that the hub advertises.
        bind_address: that it listens on.
        names: the variables C(advertise) and C(bind).
    """
    found = _ip(address)
    if found and (found.is_loopback or found.is_link_local or found.is_unspecified or found.is_multicast):
        yield (
            f"{names['advertise']}: Kubernetes takes no Service at {address}. Set {names['advertise']} to an address "
            "or DNS name of this host by which the parent's API server reaches it."
        )
    listening = _ip(bind_address)
    if listening and listening.is_loopback and address != "localhost":
        yield (
            f"{names['bind']}: the hub would listen at {bind_address} only, where the parent's API server can't reach "
            f"it by {address}. Set {names['bind']} to 0.0.0.0 or an address of this host."
        )


def _ip(text: str) -> Optional[ipaddress._BaseAddress]:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
