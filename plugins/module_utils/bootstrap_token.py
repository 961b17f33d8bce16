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

from ansible_collections.clusternet.core.plugins.module_utils import constants, validate
from ansible_collections.clusternet.core.plugins.module_utils.reconcile import Reconciler
from ansible_collections.clusternet.core.plugins.module_utils.resources import SECRETS

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
    """The token that I(secret) holds; None when it isn't well-formed, as the API server won't take it either."""
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
    """How long a token must still be valid to be used again: not more than half of a I(ttl) above zero."""
    return min(minimum, ttl / 2) if ttl else minimum


def format_time(moment: datetime) -> str:
    """RFC 3339 in UTC, in whole seconds, as bootstrap tokens bear it."""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class Wanted(NamedTuple):
    """The options of the module, checked; C(id) and C(secret) only when a token, or the id of one, was given."""

    id: Optional[str]
    secret: Optional[str]
    description: str
    ttl: timedelta
    expires_at: Optional[datetime]
    minimum_validity: timedelta
    rotate: bool
    now: datetime

    def expiry(self) -> Optional[datetime]:
        """When a new token expires, in whole seconds; None means never."""
        if self.expires_at is not None:
            return self.expires_at
        return (self.now + self.ttl).replace(microsecond=0) if self.ttl else None

    def usable(self, token: Token) -> bool:
        """Whether I(token) can be used again."""
        remaining = required_validity(self.minimum_validity, self.ttl)
        if self.expires_at is not None:
            remaining = timedelta(0)
        return token.registers() and token.valid_for(remaining, self.now)


def wanted(params: Mapping[str, Any]) -> Wanted:
    """Check the module's options; raises ConfigError, also for an expiry in the past."""
    now = datetime.now(timezone.utc)
    token_id = secret = None
    if params["token"] is not None:
        token_id, secret = validate.bootstrap_token("token", params["token"])
    elif params["token_id"] is not None:
        if params["state"] == "present":
            raise validate.invalid("token_id", "it says which token to remove and needs state absent")
        token_id = validate.token_id("token_id", params["token_id"])
    expires_at = params["expires_at"]
    return Wanted(
        id=token_id,
        secret=secret,
        description=params["description"],
        ttl=validate.duration("ttl", params["ttl"]),
        expires_at=None
        if expires_at is None
        else validate.future("expires_at", expires_at, now).replace(microsecond=0),
        minimum_validity=validate.duration("minimum_validity", params["minimum_validity"]),
        rotate=params["rotate"],
        now=now,
    )


class Tokens:
    """The bootstrap tokens of a parent cluster; notes in I(result) what becomes of them."""

    def __init__(self, reconciler: Reconciler, result: dict[str, Any]):
        self._reconciler = reconciler
        self._result = result
        result["removed"] = []

    def ensure(self, wanted: Wanted) -> None:
        """Have a token as I(wanted); raises ApiError."""
        if wanted.id is not None and wanted.secret is not None:
            self._store(wanted, wanted.id, wanted.secret)
            return
        found = self._same_purpose(wanted.description)
        usable = [token for token, _secret in found if wanted.usable(token)]
        if usable and not wanted.rotate:
            self._use_again(wanted, usable[0], dict(found)[usable[0]])
            return
        token_id, secret = generate()
        token = self._new(wanted, token_id, secret)
        self._reconciler.create(SECRETS, secret_of(token))
        self._result["changed"] = True
        self._return(token, shown=not self._reconciler.check_mode)
        if wanted.rotate:
            self._delete(found)

    def remove(self, wanted: Wanted) -> None:
        """Remove the given token, or all of the same purpose; raises ApiError."""
        if wanted.id is None:
            self._delete(self._same_purpose(wanted.description))
            return
        secret = self._read(wanted.id)
        if self._reconciler.delete(SECRETS, secret).changed:
            self._result["changed"] = True
            self._result["removed"].append(wanted.id)

    def _store(self, wanted: Wanted, token_id: str, secret: str) -> None:
        """Have just the given token; an expiry that is far enough away stays unless another is asked for."""
        live = self._read(token_id)
        present = token_of(live) if live else None
        token = self._new(wanted, token_id, secret)
        if present is not None and wanted.expires_at is None and wanted.usable(present):
            token = token._replace(expires_at=present.expires_at)
        outcome = self._reconciler.apply(SECRETS, secret_of(token))
        self._result["changed"] = outcome.changed
        self._return(token, shown=True)
        self._result["token"] = None

    def _use_again(self, wanted: Wanted, token: Token, secret: Mapping[str, Any]) -> None:
        if wanted.expires_at is not None and wanted.expires_at != token.expires_at:
            token = token._replace(expires_at=wanted.expires_at)
            expiration = secret_of(token)["data"]["expiration"]
            outcome = self._reconciler.patch(SECRETS, dict(secret), {"data": {"expiration": expiration}})
            self._result["changed"] = outcome.changed
        self._return(token, shown=True)

    def _new(self, wanted: Wanted, token_id: str, secret: str) -> Token:
        return Token(
            token_id,
            secret,
            wanted.description,
            wanted.expiry(),
            (constants.BOOTSTRAP_TOKEN_GROUP,),
            authenticates=True,
        )

    def _return(self, token: Token, shown: bool) -> None:
        self._result.update(
            token=token.text if shown else None,
            token_id=token.id if shown else None,
            secret_name=secret_name(token.id) if shown else None,
            expires_at=None if token.expires_at is None else format_time(token.expires_at),
        )

    def _read(self, token_id: str) -> Optional[dict[str, Any]]:
        path = SECRETS.path(secret_name(token_id), constants.BOOTSTRAP_TOKEN_NAMESPACE)
        return self._reconciler.client.get(path)

    def _same_purpose(self, description: str) -> list[tuple[Token, dict[str, Any]]]:
        """Registration tokens with I(description) and their Secrets, the longest valid one first."""
        answer = self._reconciler.client.request(
            "GET",
            SECRETS.path(namespace=constants.BOOTSTRAP_TOKEN_NAMESPACE),
            {"fieldSelector": f"type={constants.BOOTSTRAP_TOKEN_TYPE}"},
        )
        secrets_of = {}
        for item in answer["items"]:
            token = token_of(item)
            if token is not None:
                secrets_of[token] = item
        return [(token, secrets_of[token]) for token in same_purpose(secrets_of, description)]

    def _delete(self, found: Iterable[tuple[Token, dict[str, Any]]]) -> None:
        for token, secret in found:
            if self._reconciler.delete(SECRETS, secret).changed:
                self._result["changed"] = True
                self._result["removed"].append(token.id)
