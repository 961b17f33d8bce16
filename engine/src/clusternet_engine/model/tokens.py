"""Tokens of ServiceAccounts that expire: what they say, and when they are renewed.

A token's own times are those of the API server that issued it, whose clock may differ from this host's. How long it
lives is the difference of the two, and when it was received is known by this host's clock; only the age of a token that
was stored earlier has to be read from both.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any

from clusternet_engine.model.documents import read_json

_SKEW = 60.0
"""Seconds by which a clock may be behind the API server's before nothing is concluded from it."""


@dataclass(frozen=True, slots=True)
class Token:
    """What a ServiceAccount's token says about itself.

    Attributes:
        namespace: of the account.
        account: its name.
        account_uid: the account's UID; an account that was made anew has another one.
        issued: when it was issued, in seconds since 1970 by the API server's clock.
        life: seconds from then until it expires.
    """

    namespace: str
    account: str
    account_uid: str
    issued: float
    life: float

    def renewal(self, received: float | None, now: float, share: float) -> float:
        """Return the seconds until the token is to be renewed; 0 or less if it is due.

        Args:
            self: the token.
            received: when it was received fresh, by this host's clock; None if it was stored earlier.
            now: this host's clock.
            share: of its life after which it is renewed.
        """
        if received is None:
            received = self.issued
            if now < self.issued - _SKEW:
                return 0.0
        return received + self.life * share - now


def read_token(text: str) -> Token | None:
    """Return what a token says; None if it isn't that of a ServiceAccount, or never expires.

    Nothing is verified: whoever holds a token has it from the API server that does.
    """
    try:
        payload = text.split(".")[1]
        claims: dict[str, Any] = read_json(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        bound = claims["kubernetes.io"]
        account = bound["serviceaccount"]
        issued, expires = float(claims["iat"]), float(claims["exp"])
        token = Token(str(bound["namespace"]), str(account["name"]), str(account["uid"]), issued, expires - issued)
    except (IndexError, KeyError, TypeError, ValueError, binascii.Error):
        return None
    return token if token.life > 0 else None
