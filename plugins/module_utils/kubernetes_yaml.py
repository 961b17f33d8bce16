# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads YAML as kubectl, Helm and API servers do, for files and texts with objects of Kubernetes and for kubeconfigs.

PyYAML reads dates as dates and a plain C(=) not at all, and calls C(12:30) a number. The rules for single texts are
those of L(yaml_scalars); of a key that stands twice in a map, the last value counts. PyYAML must be there for all but
JSON, which a host without it reads, too: what Ansible itself hands on is JSON.
"""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Iterator

from ansible_collections.clusternet.core.plugins.module_utils import yaml_scalars
from ansible_collections.clusternet.core.plugins.module_utils.errors import MissingLibrary


class YamlError(ValueError):
    """A text isn't YAML, or has what JSON can't carry; says where, but not what stands there."""


def read_all(text: str) -> list[Any]:
    """Return every document of a text, without empty ones; raises YamlError, and MissingLibrary without PyYAML."""
    try:
        import yaml
    except ImportError:
        found = _json(text) if text.strip() else None
        return [] if found is None else [found]

    try:
        documents = list(yaml.load_all(text, Loader=_loader()))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        raise YamlError(f"{error.problem} (line {mark.line + 1})" if mark else str(error.problem)) from None
    except yaml.YAMLError:
        raise YamlError("it holds characters that YAML doesn't allow") from None
    return [document for document in documents if document is not None]


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise MissingLibrary(
            "PyYAML",
            f"{sys.executable}, by which Ansible runs modules on the host, lacks the package PyYAML, which reading "
            "YAML takes. Install it (in most distributions python3-yaml), set ansible_python_interpreter to a Python "
            "that has it, or give JSON.",
        ) from None


_PLAIN = "plain"
"""Takes the place of the tag in a text that has neither a tag nor quotes."""


@lru_cache(maxsize=1)
def _loader() -> Any:
    import yaml

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        """Builds values of JSON only; tags of maps and lists say nothing."""

        def resolve(self, kind: Any, value: Any, implicit: Any) -> str:
            """Return the tag of a node that has none."""
            return _PLAIN if kind is yaml.ScalarNode and implicit[0] else super().resolve(kind, value, implicit)

        def construct_object(self, node: Any, deep: bool = False) -> Any:
            """Return the value of a node."""
            if not isinstance(node, yaml.ScalarNode):
                return super().construct_object(node, deep=True)
            with _told(node):
                return (
                    yaml_scalars.plain(node.value) if node.tag == _PLAIN else yaml_scalars.tagged(node.tag, node.value)
                )

        def construct_parts(self, node: Any) -> Any:
            """Return a map or a list; what is merged into a map counts from there on, as every key does."""
            if isinstance(node, yaml.SequenceNode):
                return [self.construct_object(item, deep=True) for item in node.value]
            made: dict[str, Any] = {}
            for key_node, value_node in node.value:
                value = self.construct_object(value_node, deep=True)
                if key_node.value == yaml_scalars.MERGE and key_node.tag in (_PLAIN, f"{yaml_scalars.TAG}merge"):
                    with _told(value_node):
                        made.update(yaml_scalars.merged(value))
                else:
                    key = self.construct_object(key_node, deep=True)
                    with _told(key_node):
                        made[yaml_scalars.key(key)] = value
            return made

    Loader.yaml_constructors = {None: Loader.construct_parts}
    Loader.yaml_multi_constructors = {}
    return Loader


@contextmanager
def _told(node: Any) -> Iterator[None]:
    """Make an error of YAML, which tells the place, of a ValueError."""
    import yaml

    try:
        yield
    except ValueError as error:
        raise yaml.constructor.ConstructorError(None, None, str(error), node.start_mark) from None
