"""Every example of every module runs; what comes back is what RETURN says; a second run changes nothing (pain 14)."""

import importlib
from pathlib import Path

import pytest
import yaml

MODULES_FOLDER = Path(__file__).parents[3] / "plugins" / "modules"
MODULES = ("objects", "bootstrap_token", "registration", "registration_info", "managed_cluster", "managed_cluster_info")
ALWAYS = {"changed", "failed", "diff", "warnings", "invocation", "ansible_facts", "deprecations", "exception"}


def documentation(module: str, part: str):
    """The parsed DOCUMENTATION, EXAMPLES or RETURN of a module."""
    loaded = importlib.import_module(f"ansible_collections.clusternet.core.plugins.modules.{module}")
    return yaml.safe_load(getattr(loaded, part))


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


@pytest.mark.parametrize("module", MODULES)
def test_pain_14_examples_run_as_predicted_and_change_nothing_again(play, fleet, module):
    for name in ("edge-1", "edge-2"):
        fleet.add(name, labels={"site": "north"})
    examples = [task for task in documentation(module, "EXAMPLES") if f"clusternet.core.{module}" in task]
    for task in examples:
        task.pop("register", None)
    runs = play(*(run for task in examples for run in ({**task, "check_mode": True}, task, task))).results
    described = documentation(module, "RETURN")
    promised = {key for key, value in described.items() if value["returned"] in ("always", "success")}
    for number, task in enumerate(examples):
        predicted, first, second = runs[3 * number : 3 * number + 3]
        for result in (predicted, first, second):
            assert not result["failed"], (task, result)
            assert_documented({key: value for key, value in result.items() if key not in ALWAYS}, described, module)
            assert promised <= set(result), task
        assert predicted["changed"] == first["changed"], task
        rotates = (task[f"clusternet.core.{module}"] or {}).get("rotate", False)
        assert second["changed"] is rotates, (task, second)
