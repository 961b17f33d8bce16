# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A module for options with secrets: neither its invocation nor its errors repeat them.

Ansible's own C(no_log) of an option hides every text of it wherever it occurs, in the results too, so that an override
of C(replicas: 2) would make each 2 disappear. Here the options come back with digests instead, and messages of errors
lose just what they quote. The options themselves stay as they are, for the module to work with.
"""

from __future__ import annotations

from typing import Any, Iterable, NoReturn

from ansible_collections.clusternet.core.plugins.module_utils.clusternet_module import ClusternetModule
from ansible_collections.clusternet.core.plugins.module_utils.redact import Redactor, private_texts

_DEFINITIONS = ("definitions",)
_OVERRIDES = ("globalizations", "localizations")
_MESSAGES = ("msg", "message", "exception", "warnings", "reason", "missing")
_HIDDEN = "********"
_SHORT = 8  # characters; shorter texts may be words of the message, so they are hidden only where they are quoted

SHOW_VALUES: dict[str, dict[str, Any]] = {"show_values": {"type": "bool", "default": False}}
"""The option by which the values of overrides and charts show."""


class PrivateModule(ClusternetModule):
    """Shows its options C(definitions), C(localizations) and C(globalizations) without secrets."""

    def __init__(self, argument_spec: dict[str, Any], **further: Any) -> None:
        self._private: set[str] = set()
        # Without no_log here, the target's system log would get the options.
        super().__init__(argument_spec, no_log=True, **further)

    def conceal(self, objects: Iterable[dict[str, Any]]) -> None:
        """Keep the secrets of I(objects), which were read from texts and files, out of messages, too."""
        self._private.update(private_texts(list(objects)))

    def exit_json(self, **result: Any) -> NoReturn:
        """End with a result."""
        super().exit_json(**self._shown(result))

    def fail_json(self, msg: str, **result: Any) -> NoReturn:
        """End with an error, of checking the options, too."""
        super().fail_json(**self._shown({"msg": msg, **result}))

    def _shown(self, result: dict[str, Any]) -> dict[str, Any]:
        params = getattr(self, "params", None) or {}
        redactor = Redactor(show_values=params.get("show_values") is True)
        shown, private = dict(params), set(self._private)
        for name in _DEFINITIONS + _OVERRIDES:
            given = params.get(name)
            if not given:
                continue
            if not isinstance(given, list):
                shown[name] = redactor.digest(given)
                continue
            private.update(private_texts(given))
            if name in _DEFINITIONS:
                shown[name] = [redactor.hide(item) if isinstance(item, dict) else "a text" for item in given]
            else:
                shown[name] = [
                    redactor.overriding(item) if isinstance(item, dict) else redactor.digest(item) for item in given
                ]
        private -= set(_public_texts(shown))
        longest_first = sorted(private, key=len, reverse=True)
        return {**_without(result, longest_first), "invocation": {"module_args": shown}}


def _public_texts(value: Any) -> Iterable[str]:
    """Every text that shows anyway."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _public_texts(item)
    elif isinstance(value, str):
        yield value


def _without(result: Any, private: list[str], message: bool = False) -> Any:
    """Copy of a result in whose messages I(private) texts, the longest first, are hidden."""
    if isinstance(result, dict):
        return {key: _without(value, private, message or key in _MESSAGES) for key, value in result.items()}
    if isinstance(result, list):
        return [_without(item, private, message) for item in result]
    if not message or not isinstance(result, str):
        return result
    for text in private:
        if len(text) >= _SHORT:
            result = result.replace(text, _HIDDEN)
        else:
            for quote in ('"', "'", "`"):
                result = result.replace(f"{quote}{text}{quote}", f"{quote}{_HIDDEN}{quote}")
    return result
