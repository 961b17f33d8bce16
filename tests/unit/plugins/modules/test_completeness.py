"""Options agree with the CRDs, documentation and the action group with the modules."""

import importlib
from pathlib import Path

import pytest
import yaml
from ansible_collections.clusternet.core.plugins.doc_fragments import children, publishing
from documentation import specification

ROOT = Path(__file__).parents[4]
PARENT_MODULES = (
    "access_info",
    "bootstrap_token",
    "child_kubeconfig",
    "child_object",
    "child_object_info",
    "description_info",
    "gateway",
    "globalization",
    "helm_chart",
    "hub_info",
    "localization",
    "managed_cluster",
    "managed_cluster_info",
    "manifest",
    "objects",
    "registration",
    "registration_info",
    "render",
    "subscription",
    "subscription_info",
    "unpublish",
)


def documented_options(loaded):
    """The options of a module, with those of the collection's own fragments."""
    document = yaml.safe_load(loaded.DOCUMENTATION)
    found = {}
    for fragment in document["extends_documentation_fragment"]:
        if fragment.startswith("clusternet.core.publishing."):
            part = yaml.safe_load(getattr(publishing.ModuleDocFragment, fragment.rpartition(".")[2].upper()))
            found.update(part["options"])
        elif fragment == "clusternet.core.children":
            found.update(yaml.safe_load(children.ModuleDocFragment.DOCUMENTATION)["options"])
    return {**found, **{name: {**found.get(name, {}), **item} for name, item in document["options"].items()}}


def assert_alike(documented, specified, place):
    """Every option and suboption is documented as it is."""
    assert set(documented) == set(specified), place
    for name, item in specified.items():
        for key in ("type", "elements", "choices", "default", "required"):
            assert item.get(key) == documented[name].get(key), (*place, name, key)
        assert_alike(documented[name].get("suboptions", {}), item.get("options", {}), (*place, name))


def option(module, name):
    loaded = importlib.import_module(f"ansible_collections.clusternet.core.plugins.modules.{module}")
    return yaml.safe_load(loaded.DOCUMENTATION)["options"][name]


def spec_of(crd):
    folder = ROOT / "roles" / "hub" / "files" / "crds"
    document = yaml.safe_load((folder / f"clusters.clusternet.io_{crd}.yaml").read_text())
    schema = document["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema["properties"]["spec"]["properties"]


def test_every_module_with_connection_options_is_in_the_action_group():
    group = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text())["action_groups"]["clusternet"]
    connecting = {
        path.stem for path in (ROOT / "plugins" / "modules").glob("*.py") if "AUTH_ARGUMENTS" in path.read_text()
    }
    assert set(PARENT_MODULES) <= connecting
    assert connecting == set(group)


def test_sync_mode_is_that_of_the_crds():
    request = spec_of("clusterregistrationrequests")["syncMode"]
    assert option("registration", "sync_mode")["choices"] == request["enum"]
    assert option("registration", "sync_mode")["default"] == request["default"]
    assert option("managed_cluster", "sync_mode")["choices"] == spec_of("managedclusters")["syncMode"]["enum"]


def test_every_field_of_a_request_is_an_option():
    fields = set(spec_of("clusterregistrationrequests"))
    options = {"cluster_id", "cluster_type", "cluster_name", "cluster_namespace", "cluster_labels", "sync_mode"}
    assert {f"{'sync_mode' if field == 'syncMode' else 'cluster_' + field[7:].lower()}" for field in fields} == options
    assert all(option("registration", name) for name in options)


@pytest.mark.parametrize("module", PARENT_MODULES)
def test_documented_options_are_those_of_the_module(module, monkeypatch):
    loaded = importlib.import_module(f"ansible_collections.clusternet.core.plugins.modules.{module}")
    spec = specification(module, monkeypatch)
    own = {name: item for name, item in spec.items() if name not in loaded.AUTH_ARGUMENTS}
    assert_alike(documented_options(loaded), own, (module,))
