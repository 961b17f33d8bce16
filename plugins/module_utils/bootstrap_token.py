# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules of bootstrap tokens with which clusters register (spec/02 §2)."""

from __future__ import annotations

import base64
import binascii
import secrets
import string
from datetime import datetime, timedelta, timezone
from typing import Any, Iterable, Mapping, NamedTuple, Optional

from ansible_collections.clusternet.core.plugins.module_utils import constants

_ALPHABET = string.ascii_lowercase + string.digits


class Token(NamedTuple):
    """A bootstrap token as its Secret holds it; C(expires_at) is None when it never expires."""

    id: str
    secret: str
    description: str
    expires_at: Optional[datetime]
    groups: tuple
    authenticates: bool

    @property
    def text(self) -> str:
        """The token as a client sends it."""
        return f"{self.id}.{self.secret}"

    def registers(self) -> bool:
        """Whether the API server lets its bearer post registration requests, its expiry aside."""
        return self.authenticates and constants.BOOTSTRAP_TOKEN_GROUP in self.groups

    def valid_for(self, remaining: timedelta, now: datetime) -> bool:
        """Whether it is still valid after I(remaining)."""
        return self.expires_at is None or self.expires_at - now > remaining


def generate() -> tuple[str, str]:
    """A new random id and secret."""
    return _random(6), _random(16)


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _index in range(length))


def secret_name(token_id: str) -> str:
    """Name of the Secret that holds the token."""
    return constants.BOOTSTRAP_TOKEN_NAME_PREFIX + token_id


def secret_of(token: Token) -> dict[str, Any]:
    """The Secret for I(token)."""
    values = {
        "token-id": token.id,
        "token-secret": token.secret,
        "description": token.description,
        "auth-extra-groups": ",".join(token.groups),
        "usage-bootstrap-authentication": "true",
        "usage-bootstrap-signing": "true",
    }
    if token.expires_at is not None:
        values["expiration"] = format_time(token.expires_at)
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": secret_name(token.id), "namespace": constants.BOOTSTRAP_TOKEN_NAMESPACE},
        "type": constants.BOOTSTRAP_TOKEN_TYPE,
        "data": {key: base64.b64encode(value.encode()).decode() for key, value in values.items()},
    }


def token_of(secret: Mapping[str, Any]) -> Optional[Token]:
    """The token that I(secret) holds; None when it isn't a well-formed one, because the API server won't take that either."""
    data = secret.get("data") or {}
    try:
        values = {key: base64.b64decode(value or "").decode() for key, value in data.items()}
        expiration = values.get("expiration")
        expires_at = datetime.fromisoformat(expiration.replace("Z", "+00:00")) if expiration else None
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None
    if not values.get("token-id") or not values.get("token-secret"):
        return None
    if expires_at is not None and expires_at.tzinfo is None:
        return None
    return Token(
        id=values["token-id"],
        secret=values["token-secret"],
        description=values.get("description", ""),
        expires_at=expires_at,
        groups=tuple(group for group in values.get("auth-extra-groups", "").split(",") if group),
        authenticates=values.get("usage-bootstrap-authentication") == "true",
    )


def same_purpose(tokens: Iterable[Token], description: str) -> list[Token]:
    """Those of I(tokens) that register clusters and bear I(description), the longest valid one first."""
    chosen = [token for token in tokens if token.registers() and token.description == description]
    never = datetime.max.replace(tzinfo=timezone.utc)
    return sorted(chosen, key=lambda token: (token.expires_at or never, token.id), reverse=True)


def required_validity(minimum: timedelta, ttl: timedelta) -> timedelta:
    """How long a token must still be valid to be used again: I(minimum), but not more than half of a I(ttl) above zero."""
    return min(minimum, ttl / 2) if ttl else minimum


def format_time(moment: datetime) -> str:
    """RFC 3339 in UTC, in whole seconds, as bootstrap tokens bear it."""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
