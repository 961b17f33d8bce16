"""Every example of every module runs; what comes back is what RETURN says; a second run changes nothing (pain 14)."""

import pytest
from documentation import ALWAYS, assert_documented, documentation

MODULES = ("objects", "bootstrap_token", "registration", "registration_info", "managed_cluster", "managed_cluster_info")


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
