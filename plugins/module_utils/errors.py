# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What can go wrong: each error has a sentence for people and a ``failure`` dict for programs."""

from __future__ import annotations

from typing import Any, Optional


class ClusternetError(Exception):
    """Base of all errors of the collection.

    :param msg: a full sentence that says what happened and what to do
    :param code: short, stable name of the kind of failure
    :param details: further facts, JSON-ready, never secrets
    """

    def __init__(self, msg: str, code: str, **details: Any) -> None:
        super().__init__(msg)
        self.msg = msg
        self.code = code
        self.details = details

    @property
    def failure(self) -> dict[str, Any]:
        """Value of the ``failure`` key of a failed module."""
        return {"code": self.code, "message": self.msg, "details": self.details}


class ConfigError(ClusternetError):
    """An option, an environment variable or a kubeconfig is wrong; nothing was sent.

    :param option: name of the option (or environment variable) to look at
    """

    def __init__(self, option: str, msg: str) -> None:
        super().__init__(msg, "InvalidOption", option=option)
        self.option = option


class MissingLibrary(ClusternetError):
    """A Python package is needed for what was asked and is not installed."""

    def __init__(self, library: str, msg: str) -> None:
        super().__init__(msg, "MissingLibrary", library=library)


class ConnectionFailed(ClusternetError):
    """There was no HTTP answer.

    :param server: URL of the API server
    :param why: the cause in words (DNS, refused, TLS verification, timeout)
    """

    def __init__(self, server: str, why: str) -> None:
        super().__init__(f"Cannot reach the API server {server}: {why}", "ConnectionFailed", server=server, why=why)
        self.why = why


class ApiError(ClusternetError):
    """The API server refused a request.

    :param status: HTTP status code
    :param reason: ``reason`` of the Kubernetes Status object, for example ``NotFound``
    :param message: ``message`` of the Status object, else the beginning of the body
    :param details: ``details`` of the Status object
    """

    def __init__(
        self,
        status: int,
        reason: str,
        message: str,
        details: Optional[dict[str, Any]] = None,
        method: str = "",
        path: str = "",
    ) -> None:
        super().__init__(
            f"{method} {path} failed with {status} {reason}: {message}".strip(),
            reason or f"HTTP{status}",
            status=status,
            method=method,
            path=path,
            **({"api": details} if details else {}),
        )
        self.status = status
        self.reason = reason
        self.message = message


class WaitTimeout(ClusternetError):
    """A condition did not come true in time.

    :param msg: what was waited for and how long
    :param missing: what is still missing, in words
    :param last_object: the object as last seen; the caller removes secrets first
    """

    def __init__(self, msg: str, missing: str, last_object: Optional[dict[str, Any]] = None) -> None:
        super().__init__(msg, "Timeout", missing=missing)
        self.missing = missing
        self.last_object = last_object
