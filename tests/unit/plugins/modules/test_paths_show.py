"""Messages and invocations name the files that options name; what files hold stays hidden."""

import json
from pathlib import Path

import pytest
import yaml
from ansible_collections.clusternet.core.plugins.doc_fragments import inventory_auth_options
from ansible_collections.clusternet.core.plugins.inventory import managed_clusters
from ansible_collections.clusternet.core.plugins.lookup import child
from ansible_collections.clusternet.core.plugins.module_utils.auth import AUTH_ARGUMENTS, connection_settings
from ansible_collections.clusternet.core.plugins.module_utils.client import Client
from ansible_collections.clusternet.core.plugins.module_utils.errors import ConfigError
from documentation import specification

ROOT = Path(__file__).parents[4]
MODULES = sorted(path.stem for path in (ROOT / "plugins" / "modules").glob("*.py"))
CONNECTING = [name for name in MODULES if not name.startswith(("supervised_", "process_", "host_"))]
SECRETS = {
    "kubeconfig",  # as a dictionary; its path shows
    "api_key",
    "password",
    "proxy_basic_auth",
    "basic_auth",
    "token",
    "clusternet_agent_registration_token",
}
"""All options that Ansible itself hides."""
PLANTED = "planted-s3cret"
KEY = f"-----BEGIN PRIVATE KEY-----\n{PLANTED}\n-----END PRIVATE KEY-----\n"
KUBECONFIG = {
    "current-context": "parent",
    "contexts": [{"name": "parent", "context": {"cluster": "parent", "user": "me"}}],
    "clusters": [{"name": "parent", "cluster": {"server": "https://127.0.0.1:1"}}],
    "users": [{"name": "me", "user": {"token": PLANTED}}],
}
WITHOUT_OPTIONS = ("agent_info", "hub_info", "managed_cluster_info", "registration_info", "subscription_info")


def walk(options):
    """Yield the name and the description of every option and suboption."""
    for name, item in options.items():
        yield name, item
        yield from walk(item.get("options") or item.get("suboptions") or {})


def is_for_paths(name):
    return AUTH_ARGUMENTS[name]["type"] == "path"


def assert_only_secrets_are_hidden(options):
    for name, item in walk(options):
        if item.get("no_log"):
            assert name in SECRETS, f"{name} is hidden, is it a secret?"
            assert item.get("type") != "path", f"{name} is a path, which may show"


@pytest.mark.parametrize("module", MODULES)
def test_no_module_hides_an_option_that_is_no_secret(module, monkeypatch):
    assert_only_secrets_are_hidden(specification(module, monkeypatch))


@pytest.mark.parametrize("role", ["agent", "engine", "hub"])
def test_no_role_hides_an_argument_that_is_no_secret(role):
    specs = yaml.safe_load((ROOT / "roles" / role / "meta" / "argument_specs.yml").read_text())["argument_specs"]
    for entry in specs.values():
        assert_only_secrets_are_hidden(entry["options"])


@pytest.mark.parametrize("document", [managed_clusters, child, inventory_auth_options.ModuleDocFragment])
def test_no_plugin_hides_an_option_that_is_no_secret(document):
    assert_only_secrets_are_hidden(yaml.safe_load(document.DOCUMENTATION)["options"])


@pytest.mark.parametrize("module", CONNECTING)
def test_a_task_with_wrong_options_shows_paths_and_no_contents(server, run_module, module):
    result = run_module(module, server.url, kubeconfig="/nowhere/config", client_key="/nowhere/key", unknown=1)
    assert result["failed"]
    assert result["invocation"]["module_args"]["kubeconfig"] == "/nowhere/config"
    assert result["invocation"]["module_args"]["client_key"] == "/nowhere/key"
    for given in (KUBECONFIG, yaml.safe_dump(KUBECONFIG), json.dumps(KUBECONFIG)):
        result = run_module(module, server.url, kubeconfig=given, client_key=KEY, unknown=1)
        assert PLANTED not in json.dumps(result)


@pytest.mark.parametrize("module", WITHOUT_OPTIONS)
@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"kubeconfig": "/nowhere/config"}, "There is no kubeconfig at /nowhere/config."),
        ({"kubeconfig": "/nowhere/a:/nowhere/b"}, "There is no kubeconfig at /nowhere/a or /nowhere/b."),
        ({"ca_cert": "/nowhere/ca"}, "/nowhere/ca given by ca_cert"),
        ({"client_cert": "/nowhere/cert"}, "/nowhere/cert given by client_cert"),
        ({"client_cert": "/dev/null", "client_key": "/nowhere/key"}, "/nowhere/key given by client_key"),
        (
            {"kubeconfig": {**KUBECONFIG, "users": [{"name": "me", "user": {"tokenFile": "/nowhere/token"}}]}},
            "/nowhere/token given by kubeconfig",
        ),
    ],
)
def test_a_missing_file_is_named(server, run_module, module, options, named):
    result = run_module(module, server.url, **options)
    assert result["failed"]
    assert named in result["msg"]
    assert "****" not in json.dumps(result)
    for name, value in options.items():
        if isinstance(value, str):
            assert result["invocation"]["module_args"][name] == value


@pytest.mark.parametrize(
    "options",
    [
        {"kubeconfig": KUBECONFIG},
        {"kubeconfig": yaml.safe_dump(KUBECONFIG)},
        {"kubeconfig": json.dumps(KUBECONFIG)},
        {"kubeconfig": {**KUBECONFIG, "users": [{"name": "me", "user": {"tokenFile": f"eyJ{PLANTED}"}}]}},
        {"client_cert": "/dev/null", "client_key": KEY},
        {"ca_cert": KEY},
        {"api_key": PLANTED},
        {"username": "me", "password": PLANTED},
        {"kubeconfig": f"/nowhere/{PLANTED}", "password": PLANTED},
    ],
)
def test_contents_and_credentials_stay_hidden(server, run_module, options):
    result = run_module("managed_cluster_info", server.url, **options)
    assert PLANTED not in json.dumps(result)


def test_a_secret_that_is_a_public_text_of_the_kubeconfig_stays_hidden(server, run_module):
    result = run_module("managed_cluster_info", server.url, kubeconfig="/nowhere", username="x", password="/nowhere")
    assert "/nowhere" not in json.dumps(result)


@pytest.mark.parametrize(
    "option", ["kubeconfig", *(name for name, item in AUTH_ARGUMENTS.items() if item["type"] == "path")]
)
def test_inventory_and_lookup_name_missing_files_and_repeat_no_contents(option):
    others = {"host": "https://127.0.0.1:1", "client_cert": "/dev/null"}
    for value, shows in (("/nowhere/file", True), (KEY, False)):
        with pytest.raises(ConfigError) as caught:
            Client(connection_settings({**others, option: value}, {}))
        assert ("/nowhere/file" in str(caught.value)) is shows
        assert option in str(caught.value)
        assert PLANTED not in str(caught.value)
