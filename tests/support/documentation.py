"""What modules document of themselves, and whether their answers keep to it."""

import importlib

import pytest
import yaml

ALWAYS = {"changed", "failed", "diff", "warnings", "invocation", "ansible_facts", "deprecations", "exception"}
"""Keys of answers that Ansible itself adds."""


def documentation(module: str, part: str):
    """The parsed DOCUMENTATION, EXAMPLES or RETURN of a module."""
    loaded = importlib.import_module(f"ansible_collections.clusternet.core.plugins.modules.{module}")
    return yaml.safe_load(getattr(loaded, part))


def specification(module: str, monkeypatch: pytest.MonkeyPatch):
    """Return the argument_spec that a module hands to its base."""
    loaded = importlib.import_module(f"ansible_collections.clusternet.core.plugins.modules.{module}")
    seen = {}

    class Stop(Exception):
        pass

    def capture(argument_spec, **_more):
        seen.update(argument_spec)
        raise Stop

    bases = ("PrivateModule", "ClusternetModule", "AnsibleModule")
    monkeypatch.setattr(loaded, next(base for base in bases if hasattr(loaded, base)), capture)
    with pytest.raises(Stop):
        loaded.main()
    return seen


def assert_documented(value, described, place: str) -> None:
    """Every key is described, and of the described one's type."""
    for key, item in value.items():
        assert key in described, f"{place}.{key} is not documented"
        contains = described[key].get("contains")
        if contains and isinstance(item, dict):
            assert set(item) == set(contains), f"{place}.{key}"
            assert_documented(item, contains, f"{place}.{key}")
        elif contains and isinstance(item, list):
            for element in item:
                assert set(element) == set(contains), f"{place}.{key}"
                assert_documented(element, contains, f"{place}.{key}")
        kinds = {"list": list, "dict": dict, "str": str, "bool": bool, "int": int}
        assert item is None or isinstance(item, kinds[described[key]["type"]]), f"{place}.{key} is {item!r}"
