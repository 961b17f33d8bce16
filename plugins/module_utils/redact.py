# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Objects as people may see them: without what only the server sets, and with secret values as keyed digests.

Contents of Secrets and credentials are always hidden. The values of overrides and charts are configuration as often as
passwords, and nobody can tell which: they are hidden unless the option C(show_values) is set. Their keys stay, so that
a diff says what changes. What overrides a Secret is hidden like the Secret itself.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from typing import Any, Collection, Iterator, Mapping, Optional

from ansible_collections.clusternet.core.plugins.module_utils import constants

# Fields that hold secret text, by kind; a path ends at the map, list or value to hide.
_SECRET_PATHS = {
    "Secret": (("data",), ("stringData",)),
    "ClusterRegistrationRequest": (("status", "token"), ("status", "caCertificate")),
    "Description": (("spec", "raw"), ("spec", "chartRaw")),
    "HelmRelease": (("spec", "overrides"),),
}
_OVERRIDING = ("Localization", "Globalization")
_PATCH_LOCATIONS = ("op", "path", "from")  # of an operation of a JSON patch; all else is a value
_LONG = 65536  # characters of an override that is shown as one digest, without its keys
_COPIES_OF_THE_OBJECT = (
    "kubectl.kubernetes.io/last-applied-configuration",
    "clusternet.io/last-applied-configuration",
)
SERVER_METADATA = ("creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid")


Paths = set[tuple]
"""Places of values in an object: keys, and indices of lists, from the top."""


class Redactor:
    """Hides secret values; equal values of one run get equal digests, which nobody can compute again afterwards.

    With I(show_values), the values of overrides and charts show.
    """

    def __init__(self, key: Optional[bytes] = None, show_values: bool = False):
        self._key = key or secrets.token_bytes(32)
        self.show_values = show_values

    def digest(self, value: Any) -> str:
        """Stand-in for one secret value."""
        text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
        return "hidden, digest " + hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()[:16]

    def hide(self, value: Any) -> Any:
        """Copy of any JSON value in which the secrets of every contained object are hidden."""
        if isinstance(value, list):
            return [self.hide(item) for item in value]
        if not isinstance(value, dict):
            return value
        copy = {key: self.hide(item) for key, item in value.items()}
        kind = value.get("kind") if isinstance(value.get("kind"), str) else ""
        if kind == "Secret":
            copy = _with_places(copy)
        paths = _SECRET_PATHS.get(kind, ())
        for path in paths:
            self._hide_path(copy, path)
        if kind in _OVERRIDING and isinstance(copy.get("spec"), dict):
            copy["spec"] = self.overriding(copy["spec"])
        if paths or (kind in _OVERRIDING and not self._shows(copy.get("spec"))):
            self._hide_path(copy, ("metadata", "annotations"), _COPIES_OF_THE_OBJECT)
        return copy

    def values(self, value: Any) -> Any:
        """Values of a chart: with digests for everything that isn't a mapping or a list, unless they are to show."""
        return value if self.show_values else self._leaves(value)

    def changed(self, obj: Mapping[str, Any], plain: Optional[Mapping[str, Any]]) -> Paths:
        """Where overrides may have changed I(obj), which is I(plain) without them; nowhere if values are to show.

        Without I(plain) nobody can tell: that is everywhere but in what identifies it.
        """
        if self.show_values:
            return set()
        identity = {key: obj.get(key) for key in ("apiVersion", "kind")}
        metadata = obj.get("metadata") or {}
        identity["metadata"] = {key: metadata.get(key) for key in ("name", "namespace")}
        return set(_differing(obj, identity if plain is None else plain, ()))

    def without(self, value: Any, paths: Paths, here: tuple = ()) -> Any:
        """Copy of I(value) with digests at the I(paths)."""
        if here in paths:
            return self.digest(value)
        if isinstance(value, dict):
            return {key: self.without(item, paths, (*here, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self.without(item, paths, (*here, number)) for number, item in enumerate(value)]
        return value

    def equal(self, obj: Any, values: Collection[Any]) -> Paths:
        """Where in I(obj) one of the I(values) stands, but for what identifies it; nowhere if values are to show."""
        if self.show_values:
            return set()
        known = {_typed(value) for value in values}
        identity = {("apiVersion",), ("kind",), ("metadata", "name"), ("metadata", "namespace")}
        return {path for path, leaf in _leaves(obj, ()) if path not in identity and _typed(leaf) in known}

    def overriding(self, spec: Any) -> Any:
        """Copy of the spec of an override, or of the suboptions that make one, with its values hidden."""
        if self._shows(spec) or not isinstance(spec, dict) or spec.get("overrides") is None:
            return spec
        items = spec["overrides"]
        if not isinstance(items, list):
            return {**spec, "overrides": self.digest(items)}
        return {**spec, "overrides": [self._override(item) for item in items]}

    def _shows(self, spec: Any) -> bool:
        feed = spec.get("feed") if isinstance(spec, dict) else None
        return self.show_values and not (isinstance(feed, dict) and feed.get("kind") == "Secret")

    def _override(self, item: Any) -> Any:
        if not isinstance(item, dict):
            return self.digest(item)
        if item.get("value") is None:
            return item
        value = _parsed(item["value"])
        if isinstance(value, list) and all(isinstance(entry, dict) for entry in value):
            hidden: Any = [
                {key: part if key in _PATCH_LOCATIONS else self._leaves(part) for key, part in entry.items()}
                for entry in value
            ]
        else:
            hidden = self._leaves(value)
        return {**item, "value": hidden}

    def _leaves(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self._leaves(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._leaves(item) for item in value]
        return self.digest(value)

    def _hide_path(self, obj: dict, path: tuple, only: Optional[tuple] = None) -> None:
        """Hide, in place, what stands at I(path); of a map the values, with I(only) just those of these keys."""
        for key in path[:-1]:
            obj = obj.get(key)
            if not isinstance(obj, dict):
                return
        value = obj.get(path[-1])
        if isinstance(value, dict):
            obj[path[-1]] = {
                key: self.digest(item) if only is None or key in only else item for key, item in value.items()
            }
        elif isinstance(value, list):
            obj[path[-1]] = [self.digest(item) for item in value]
        elif value is not None:
            obj[path[-1]] = self.digest(value)

    def visible(self, obj: Mapping[str, Any]) -> dict[str, Any]:
        """What a diff shows of I(obj): its secrets hidden, server-set fields and status left out."""
        shown = {key: value for key, value in self.hide(dict(obj)).items() if key != "status"}
        shown["metadata"] = {key: value for key, value in shown["metadata"].items() if key not in SERVER_METADATA}
        return shown


def overriding_values(spec: Mapping[str, Any]) -> Optional[list[Any]]:
    """All values that the spec of an override sets; None if they can't be told, since a text isn't readable."""
    found: list[Any] = []
    for item in spec.get("overrides") or ():
        value = _parsed(item.get("value")) if isinstance(item, dict) else item
        if isinstance(value, str) and value:
            return None
        if isinstance(value, list):  # of a JSON patch
            value = [part.get("value") for part in value if isinstance(part, dict)]
        found += [leaf for _path, leaf in _leaves(value, ()) if leaf is not None]
    return found


def overriding_fields(spec: Mapping[str, Any]) -> Iterator[tuple]:
    """The paths of all texts in which the spec of an override changes something."""
    for item in spec.get("overrides") or ():
        if isinstance(item, dict) and item.get("fieldPath"):
            parts = str(item["fieldPath"]).split("/")[1:]
            yield tuple(int(part) if part.isdigit() else part for part in parts)


def _leaves(value: Any, here: tuple) -> Iterator[tuple[tuple, Any]]:
    """Every value in I(value) that isn't a mapping or a list, with its path."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves(item, (*here, key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _leaves(item, (*here, number))
    else:
        yield here, value


def _typed(value: Any) -> tuple:
    """A value that differs from all values of other types: C(True) isn't C(1)."""
    return type(value), value


def _differing(value: Any, plain: Any, here: tuple) -> Iterator[tuple]:
    """The paths of all values in I(value) that aren't in I(plain) at their place; in a list, at any place."""
    if isinstance(value, dict):
        known = plain if isinstance(plain, dict) else {}
        for key, item in value.items():
            yield from _differing(item, known.get(key), (*here, key))
    elif isinstance(value, list):
        known = plain if isinstance(plain, list) else []
        for number, item in enumerate(value):
            if item not in known:
                yield from _differing(item, known[number] if number < len(known) else None, (*here, number))
    elif value is not None and _typed(value) != _typed(plain):
        yield here


def _with_places(secret: dict) -> dict:
    """A published Secret whose values the hub keeps elsewhere, with their place, so that digests tell of changes."""
    metadata = secret.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, dict) else None
    place = annotations.get(constants.ANNOTATION_VALUES) if isinstance(annotations, dict) else None
    if not place or not isinstance(secret.get("data"), dict):
        return secret
    return {**secret, "data": {key: value or f"{place} {key}" for key, value in secret["data"].items()}}


def _parsed(value: Any) -> Any:
    """The data in the text of an override; the value itself if it is no text, or can't be read."""
    if not isinstance(value, str) or len(value) > _LONG:
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        pass
    try:
        import yaml
    except ImportError:
        return value

    class Loader(yaml.SafeLoader):
        """Reads plain data; aliases, by which a small text becomes huge, are refused."""

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                raise yaml.YAMLError("aliases are not read")
            return super().compose_node(parent, index)

    try:
        return Loader(value).get_single_data()
    except (yaml.YAMLError, ValueError, RecursionError):
        return value


def private_texts(value: Any) -> Iterator[str]:
    """Every text that L(Redactor) would hide in I(value), which may hold objects and suboptions of overrides."""
    if isinstance(value, list):
        for item in value:
            yield from private_texts(item)
    if not isinstance(value, dict):
        return
    for path in _SECRET_PATHS.get(value["kind"], ()) if isinstance(value.get("kind"), str) else ():
        found: Any = value
        for key in path:
            found = found.get(key) if isinstance(found, dict) else None
        yield from _texts(found)
    for item in value["overrides"] if isinstance(value.get("overrides"), list) else ():
        if isinstance(item, dict):
            yield from _texts(item.get("value"))
            yield from _texts(_parsed(item.get("value")))
    for item in value.values():
        yield from private_texts(item)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, str) and value:
        yield value
        try:
            yield base64.b64decode(value, validate=True).decode()
        except ValueError:
            return
