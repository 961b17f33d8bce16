"""Tells what the parent says of an object itself from what it says of the parent.

Objects are for the children; the parent only tries them out. It may refuse one that every child would take: because
something that the object refers to isn't there, because a quota is used up, or because a policy or a webhook of the
parent's forbids it there. Such a refusal is no verdict on the object. That it can't be read, or that a field of it is
invalid, is one: API servers agree on that.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_BY_A_WEBHOOK = re.compile(r"admission webhook \"|[Ff]ailed calling webhook|failed calling admission")
_BY_ADMISSION = re.compile(r"""\S+ "[^"]*" is forbidden: """)
"""Matches the beginning of what the admission of API servers says, whatever status code a policy has chosen."""


def judges_the_object(status: int, message: str, details: Mapping[str, Any]) -> bool:
    """Return whether the refusal of a dry run holds wherever the object goes, or is no refusal but a failure.

    Args:
        status: HTTP status code.
        message: of the Status.
        details: of the Status.
    """
    if _BY_A_WEBHOOK.search(message) or _BY_ADMISSION.match(message):
        return False
    if status == 404:
        return not details.get("name")  # else something that the object refers to is missing
    return status != 403
