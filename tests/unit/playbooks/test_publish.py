"""What publish.yml makes of its variables."""

import json
from pathlib import Path

import pytest
import yaml
from ansible.plugins.filter.core import flatten
from jinja2 import Environment
from jinja2.nativetypes import NativeEnvironment

PLAYBOOKS = Path(__file__).parents[3] / "playbooks"
LOCAL = {"name": "other", "cluster": "edge-2"}


def overrides(**variables):
    """Return what the playbook gives the module `localization`."""
    [_, play] = yaml.safe_load((PLAYBOOKS / "publish.yml").read_text())
    variables = play["vars"] | {"clusternet_publish_localizations": [LOCAL]} | variables
    filters = {"to_json": json.dumps, "from_yaml": yaml.safe_load, "flatten": flatten}
    text, native = Environment(trim_blocks=True), NativeEnvironment()
    text.filters |= filters
    native.filters |= filters

    def lookup(_, path):
        return text.from_string((PLAYBOOKS / path).read_text()).render(variables)

    return native.from_string(play["vars"]["clusternet_publish_overrides"]).render(variables, lookup=lookup)


@pytest.mark.parametrize("values", [{}, {"edge-1": {}}, {"edge-1": None}, {"edge-1": {}, "edge-2": {}}])
def test_clusters_without_values_of_their_own_have_no_overrides(values):
    assert overrides(clusternet_publish_values=values) == [LOCAL]


def test_values_become_overrides_of_charts():
    values = {"edge-1": {"mysql": {"a": 1}}, "edge-2": {}}
    charts = [{"name": "mysql", "namespace": "apps"}]
    [_, made] = overrides(clusternet_publish_values=values, clusternet_publish_charts=charts)
    assert made == {
        "name": "mysql-values",
        "cluster": "edge-1",
        "feed": {"kind": "HelmChart", "namespace": "apps", "name": "mysql"},
        "overrides": [{"type": "Helm", "value": {"a": 1}}],
    }


def test_native_objects_come_and_go_with_the_same_default_namespace():
    [_, play] = yaml.safe_load((PLAYBOOKS / "publish.yml").read_text())
    tasks = [task for part in play["tasks"] for task in part.get("block", ()) if "clusternet.core.manifest" in task]
    defaults = [task["clusternet.core.manifest"].get("namespace") for task in tasks]
    assert defaults == ["{{ clusternet_publish_namespace }}"] * 2
    assert play["vars"]["clusternet_publish_namespace"] == ""
