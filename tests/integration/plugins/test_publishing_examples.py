"""Every example of the modules for publishing runs, against a hub; what comes back is what RETURN says (pain 14)."""

import importlib

import pytest
import yaml
from documentation import ALWAYS, assert_documented, documentation

PUBLISHING = (
    "manifest",
    "helm_chart",
    "globalization",
    "localization",
    "subscription",
    "subscription_info",
    "description_info",
    "render",
)
ONLY_READ = ("subscription_info", "description_info", "render")
CONFIG_MAP = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "b"}}


@pytest.fixture
def application(publishing_parent, fleet, play, tmp_path):
    """What the examples of publishing speak of: clusters, a template, a kustomization; gone at the end."""
    for name in ("edge-1", "edge-2"):
        fleet.add(name, labels={"site": "north"}, request=False)
    kept = {name: CONFIG_MAP | {"metadata": {"name": name, "namespace": "foo"}} for name in ("in-file", "in-template")}
    kept["in-examples"] = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "my-nginx", "namespace": "foo"},
    }
    kept["namespace"] = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "foo"}}
    (tmp_path / "service.yml").write_text(yaml.safe_dump(kept["in-file"]))
    (tmp_path / "application.yml.j2").write_text(yaml.safe_dump(kept["in-template"]))
    kept["guestbook"] = CONFIG_MAP | {"metadata": {"name": "guestbook", "namespace": "foo"}}
    (tmp_path / "guestbook.yml").write_text(yaml.safe_dump(CONFIG_MAP | {"metadata": {"name": "guestbook"}}))
    (tmp_path / "all.yml").write_text(yaml.safe_dump_all(kept.values()))
    yield tmp_path
    play(
        {
            "clusternet.core.subscription": {
                "subscriptions": [{"name": name} for name in ("app-demo", "static-dividing", "settings")],
                "state": "absent",
            }
        },
        *(
            {f"clusternet.core.{module}": {option: [{"name": name} for name in names], "state": "absent"}}
            for module, option, names in (
                ("helm_chart", "charts", ["mysql", "cache"]),
                ("globalization", "globalizations", ["nginx-north", "settings-north"]),
            )
        ),
        {"clusternet.core.manifest": {"src": [str(tmp_path / "all.yml")], "state": "absent"}},
    )


@pytest.mark.parametrize("module", PUBLISHING)
def test_pain_14_examples_of_publishing(play, application, module):
    text = importlib.import_module(f"ansible_collections.clusternet.core.plugins.modules.{module}").EXAMPLES
    text = text.replace("/srv/application", str(application)).replace(
        "'application.yml.j2'", f"'{application}/application.yml.j2'"
    )
    examples = [task for task in yaml.safe_load(text) if "kustomize" not in str(task)]
    for task in examples:
        task.pop("register", None)
        options = task[f"clusternet.core.{module}"] or {}
        options.pop("wait", None)  # there is no agent that takes things back
        options.pop("wait_for", None)
    runs = play(*(run for task in examples for run in ({**task, "check_mode": True}, task, task))).results
    described = documentation(module, "RETURN")
    for number, task in enumerate(examples):
        predicted, first, second = runs[3 * number : 3 * number + 3]
        for result in (predicted, first, second):
            assert not result["failed"], (task, result)
            assert_documented({key: value for key, value in result.items() if key not in ALWAYS}, described, module)
        assert predicted["changed"] == first["changed"], task
        assert second["changed"] is (first["changed"] if module in ONLY_READ else False), (task, second)
