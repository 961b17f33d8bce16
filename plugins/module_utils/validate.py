# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks of option values before any request; every message names the option."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import Any, Mapping, Optional

from ansible_collections.clusternet.core.plugins.module_utils.errors import ConfigError

CLUSTER_NAME_LENGTH = 30  # spec/01 §2.1
DNS_LABEL_LENGTH = 63
DNS_SUBDOMAIN_LENGTH = 253

_DNS_LABEL = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?")
_DNS_SUBDOMAIN = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*")
_QUALIFIED_NAME = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?")
_UUID = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")
_BOOTSTRAP_TOKEN = re.compile(r"([a-z0-9]{6})\.([a-z0-9]{16})")
_TOKEN_ID = re.compile(r"[a-z0-9]{6}")
_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
_RFC3339 = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,6})?(?:Z|[+-]\d{2}:\d{2})")
_SELECTOR_SPLIT = re.compile(r",(?![^()]*\))")
_SELECTOR_SET = re.compile(r"(\S+)\s+(in|notin)\s*\(([^()]*)\)")
_SELECTOR_EQUAL = re.compile(r"([^=!\s]+)\s*(?:==|=|!=)\s*([^=!\s]*)")


def is_empty(value: Any) -> bool:
    """Return whether an option is an empty text, which means that it isn't given."""
    return isinstance(value, str) and not value.strip()


def invalid(option: str, problem: str) -> ConfigError:
    """The error for a value of I(option) with a I(problem); the message begins with the option's name."""
    return ConfigError(option, f"{option}: {problem}.")


def cluster_name(option: str, value: str) -> str:
    """Name of a ManagedCluster: at most 30 lower-case letters, digits and inner dashes (spec/01 §2.1).

    Raises ConfigError naming I(option).
    """
    if len(value) > CLUSTER_NAME_LENGTH:
        raise invalid(
            option,
            f"{value!r} has {len(value)} characters, a cluster name may have {CLUSTER_NAME_LENGTH} at most",
        )
    return dns_label(option, value)


def dns_label(option: str, value: str) -> str:
    """Name of a namespace: at most 63 lower-case letters, digits and inner dashes; raises ConfigError."""
    if len(value) > DNS_LABEL_LENGTH or not _DNS_LABEL.fullmatch(value):
        raise invalid(
            option,
            f"{value!r} must be 1 to {DNS_LABEL_LENGTH} lower-case letters, digits and dashes, "
            "and begin and end with a letter or digit",
        )
    return value


def object_name(option: str, value: Any, longest: int = DNS_SUBDOMAIN_LENGTH) -> str:
    """Name of an object: I(longest) lower-case letters, digits, inner dashes and dots at most; raises ConfigError."""
    if not isinstance(value, str) or len(value) > longest or not _DNS_SUBDOMAIN.fullmatch(value):
        raise invalid(
            option,
            f"the name {value!r} must be 1 to {longest} lower-case letters, digits, dashes and dots, "
            "and begin and end with a letter or digit",
        )
    return str(value)


def path_segment(option: str, value: Any) -> str:
    """Name of an object of any kind, which stands in a path; raises ConfigError. Some kinds take less."""
    if not isinstance(value, str) or value in ("", ".", "..") or "/" in value or "%" in value:
        raise invalid(option, f"the name {value!r} must be a text that is not empty, '.' or '..', without '/' and '%'")
    return value


def cluster_id(option: str, value: str) -> str:
    """Identity of a cluster, a UUID (spec/01 §2.1); raises ConfigError."""
    if not _UUID.fullmatch(value):
        raise invalid(option, f"{value!r} must be a UUID such as 5e8b6bc8-7d35-4a7a-9d0f-3b1c4f0a9d21")
    return value


def label_key(option: str, key: Any) -> str:
    """Key of a label or taint, optionally with a DNS prefix before a slash; raises ConfigError."""
    if not isinstance(key, str):
        raise invalid(option, f"the key {key!r} must be a string; quote it")
    prefix, slash, name = key.rpartition("/")
    if slash and (len(prefix) > DNS_SUBDOMAIN_LENGTH or not _DNS_SUBDOMAIN.fullmatch(prefix)):
        raise invalid(option, f"{prefix!r}, the prefix of the key {key!r}, must be a DNS name")
    if len(name) > DNS_LABEL_LENGTH or not _QUALIFIED_NAME.fullmatch(name):
        raise invalid(
            option,
            f"{name!r}, the name in the key {key!r}, must be 1 to {DNS_LABEL_LENGTH} letters, digits, '-', '_' or '.', "
            "and begin and end with a letter or digit",
        )
    return key


def label_value(option: str, key: str, value: Any) -> str:
    """Value of a label or taint, possibly empty; integers become strings; raises ConfigError."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise invalid(option, f"the value {value!r} of {key!r} must be a string; quote it")
    if value and (len(value) > DNS_LABEL_LENGTH or not _QUALIFIED_NAME.fullmatch(value)):
        raise invalid(
            option,
            f"the value {value!r} of {key!r} must be empty or up to {DNS_LABEL_LENGTH} letters, digits, '-', '_' or "
            "'.', and begin and end with a letter or digit",
        )
    return value


def labels(option: str, value: Optional[Mapping[Any, Any]]) -> dict[str, str]:
    """Every key and value of a label map; raises ConfigError."""
    return {label_key(option, key): label_value(option, key, item) for key, item in (value or {}).items()}


def label_selector(option: str, value: str) -> str:
    """Syntax of a label selector in the form of C(kubectl -l); raises ConfigError."""
    for part in (text.strip() for text in _SELECTOR_SPLIT.split(value)):
        chosen, equal = _SELECTOR_SET.fullmatch(part), _SELECTOR_EQUAL.fullmatch(part)
        if chosen:
            label_key(option, chosen.group(1))
            for item in chosen.group(3).split(","):
                label_value(option, chosen.group(1), item.strip())
        elif equal:
            label_key(option, equal.group(1))
            label_value(option, equal.group(1), equal.group(2))
        else:
            label_key(option, part[1:].strip() if part.startswith("!") else part)
    return value


def bootstrap_token(option: str, value: str) -> tuple[str, str]:
    """Split a bootstrap token into id and secret (spec/02 §2); raises ConfigError without repeating the value."""
    match = _BOOTSTRAP_TOKEN.fullmatch(value)
    if not match:
        raise invalid(
            option,
            "the token must be 6 lower-case letters or digits, a dot, and 16 lower-case letters or digits",
        )
    return match.group(1), match.group(2)


def token_id(option: str, value: str) -> str:
    """The public part of a bootstrap token; raises ConfigError."""
    if not _TOKEN_ID.fullmatch(value):
        raise invalid(option, f"{value!r} must be 6 lower-case letters or digits")
    return value


def duration(option: str, value: str) -> timedelta:
    """Length of time written like C(24h), C(1h30m), C(7d) or C(0); raises ConfigError."""
    text = value.strip()
    if text == "0":
        return timedelta(0)
    match = _DURATION.fullmatch(text)
    if not text or not match:
        raise invalid(option, f"{value!r} must be a duration such as 24h, 1h30m, 90s or 7d")
    days, hours, minutes, seconds = (int(number or 0) for number in match.groups())
    try:
        return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    except OverflowError:
        raise invalid(option, f"{value!r} is too long") from None


def timestamp(option: str, value: str) -> datetime:
    """A point in time in RFC 3339 form, with its offset from UTC; raises ConfigError."""
    if _RFC3339.fullmatch(value):
        try:
            return datetime.fromisoformat(_six_digits(value).replace("Z", "+00:00")).astimezone(timezone.utc)
        except (ValueError, OverflowError):
            pass
    raise invalid(option, f"{value!r} must be a time such as 2026-12-31T23:59:59Z")


def _six_digits(value: str) -> str:
    """Pad fractions of a second, because Python before 3.11 reads three or six digits only."""
    return re.sub(r"\.(\d{1,6})", lambda match: "." + match.group(1).ljust(6, "0"), value)


def future(option: str, value: str, now: datetime) -> datetime:
    """A point in time after I(now); raises ConfigError."""
    moment = timestamp(option, value)
    if moment <= now:
        raise invalid(option, f"{value} is in the past")
    return moment


def wait_timeout(option: str, value: int) -> int:
    """Seconds to wait, at least one; raises ConfigError."""
    if value < 1:
        raise invalid(option, f"{value} must be at least 1 second")
    return value


def count(option: str, value: int) -> int:
    """A number of things, zero or more; raises ConfigError."""
    if value < 0:
        raise invalid(option, f"{value} must not be negative")
    return value
