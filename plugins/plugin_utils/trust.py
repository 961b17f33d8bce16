# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Strings that clusters wrote: ordinary ones stay plain, ones that look like templates are never evaluated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.utils.unsafe_proxy import wrap_var

try:
    from ansible.template import trust_as_template
except ImportError:  # before ansible-core 2.19 plain strings are trusted
    trust_as_template = str

_MARKERS = ("{{", "{%", "{#")
_OVERRIDES = "#jinja2:"
"""Beginning of a template that brings its own markers."""


def could_be_template(text: str) -> bool:
    """Whether Ansible would evaluate something in the text."""
    return ("{" in text and any(marker in text for marker in _MARKERS)) or text.startswith(_OVERRIDES)


def guard() -> Callable[[Any], Any]:
    """Make a function that marks every string inside a value.

    From ansible-core 2.19 on, strings without a mark of trust come out of ``ansible-inventory --list`` in a wrapper,
    so harmless ones are trusted. Strings that could be templates are marked unsafe. Each text is marked once.
    """
    marked: dict[str, Any] = {}

    def apply(value: Any) -> Any:
        if isinstance(value, str):
            result = marked.get(value)
            if result is None:
                result = marked[value] = wrap_var(value) if could_be_template(value) else trust_as_template(value)
            return result
        if isinstance(value, dict):
            return {key: apply(item) for key, item in value.items()}
        if isinstance(value, list):
            return [apply(item) for item in value]
        return value

    return apply
