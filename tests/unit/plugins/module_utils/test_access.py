"""Where credentials come from, and that they go only where they belong."""

import base64
import json
import sys

import pytest
from ansible_collections.clusternet.core.plugins.module_utils import access
from ansible_collections.clusternet.core.plugins.module_utils.auth import connection_settings
from ansible_collections.clusternet.core.plugins.module_utils.errors import ConfigError, MissingLibrary


def resolve(environ=None, **options):
    return access.resolve(connection_settings(options, {}), environ or {})


def config(cluster=None, **user):
    return {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://parent:6443/", **(cluster or {})}}],
        "users": [{"name": "c", "user": user}],
    }


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ({}, None),
        ({"token": "abc"}, "Bearer abc"),
        ({"username": "u", "password": "p"}, basic("u", "p")),
        ({"token": "abc", "username": "u", "password": "p"}, "Bearer abc"),
    ],
)
def test_static_credentials_of_a_kubeconfig(user, expected):
    found = resolve(kubeconfig=config(**user))
    assert found.server == "https://parent:6443"
    assert found.headers.get("authorization") == expected


def test_pain_26_a_token_file_is_read_anew_each_time(tmp_path):
    path = tmp_path / "token"
    path.write_text("old\n")
    settings = connection_settings({"kubeconfig": config(tokenFile=str(path), token="static")}, {})
    assert access.resolve(settings, {}).headers["authorization"] == "Bearer old"
    path.write_text("new\n")
    assert access.resolve(settings, {}).headers["authorization"] == "Bearer new"


def test_options_win_over_the_kubeconfig():
    found = resolve(
        kubeconfig=config({"insecure-skip-tls-verify": True}, token="theirs"),
        api_key="mine",
        host="https://other",
        validate_certs=True,
    )
    assert (found.server, found.headers["authorization"], found.verify) == ("https://other", "Bearer mine", True)


def test_a_host_alone_never_gets_the_credentials_of_the_default_kubeconfig(tmp_path):
    (tmp_path / "config").write_text(json.dumps(config(token="theirs")))
    assert resolve({"KUBECONFIG": str(tmp_path / "config")}, host="https://other").headers == {}


def test_in_a_pod_its_service_account_is_used(tmp_path, monkeypatch):
    monkeypatch.setattr(access, "SERVICE_ACCOUNT_FOLDER", str(tmp_path))
    (tmp_path / "token").write_text("pod")
    (tmp_path / "ca.crt").write_text("PEM")
    found = resolve({"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "6443"})
    assert (found.server, found.ca) == ("https://[fd00::1]:6443", "PEM")
    assert found.headers["authorization"] == "Bearer pod"


def test_impersonation():
    found = resolve(host="https://h", impersonate_user="jane", impersonate_groups=["a", "b"])
    assert found.headers == {"impersonate-user": "jane", "impersonate-group": ("a", "b")}


def test_impersonation_in_a_kubeconfig_is_heeded_whatever_the_credentials(tmp_path):
    named = {
        "as": "jane",
        "as-uid": "1-2",
        "as-groups": ["a", "b"],
        "as-user-extra": {"Acme.com/Scopes": ["few"], "dept": ["x", "y"]},
    }
    headers = {
        "impersonate-user": "jane",
        "impersonate-uid": "1-2",
        "impersonate-group": ("a", "b"),
        "impersonate-extra-acme.com%2Fscopes": ("few",),
        "impersonate-extra-dept": ("x", "y"),
    }
    assert resolve(kubeconfig=config(**named)).headers == headers
    found = resolve(kubeconfig=config(**named, **plugin(tmp_path)))
    assert found.headers == {"authorization": "Bearer from-plugin", **headers}
    other = resolve(kubeconfig=config(**named), api_key="another", impersonate_user="joe")
    assert other.headers == {"authorization": "Bearer another", "impersonate-user": "joe"}


@pytest.mark.parametrize("token", ["", "two words", "line\nbreak", "ünïcode"])
def test_a_malformed_token_fails_before_any_request_and_is_not_shown(token):
    with pytest.raises(ConfigError) as caught:
        resolve(kubeconfig=config(tokenFile="/dev/null")) if not token else resolve(host="https://h", api_key=token)
    assert not token or token not in caught.value.msg


@pytest.mark.parametrize("option", ["ca_cert", "client_cert"])
def test_a_missing_file_names_the_option(option, tmp_path):
    with pytest.raises(ConfigError) as caught:
        resolve(host="https://h", **{option: str(tmp_path / "nowhere")})
    assert caught.value.option == option


def test_a_host_must_be_a_url():
    with pytest.raises(ConfigError, match="begins with https://"):
        resolve(host="parent.example.com")


def plugin(tmp_path, token="from-plugin"):
    credential = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {"token": token},
    }
    (tmp_path / "plugin.py").write_text(f"print({json.dumps(json.dumps(credential))})")
    return {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": sys.executable,
            "args": [str(tmp_path / "plugin.py")],
            "interactiveMode": "Never",
        }
    }


def test_pain_26_a_credential_plugin_is_run_each_time(tmp_path):
    settings = connection_settings({"kubeconfig": config(**plugin(tmp_path))}, {})
    assert access.resolve(settings, {}).headers == {"authorization": "Bearer from-plugin"}
    plugin(tmp_path, "renewed")
    assert access.resolve(settings, {}).headers == {"authorization": "Bearer renewed"}


def test_a_failing_credential_plugin_is_an_error_of_the_kubeconfig(tmp_path):
    user = plugin(tmp_path)
    (tmp_path / "plugin.py").write_text("raise SystemExit('no login')")
    with pytest.raises(ConfigError) as caught:
        resolve(kubeconfig=config(**user))
    assert caught.value.option == "kubeconfig"


def test_pain_27_the_kubernetes_package_is_only_imported_for_credential_plugins(tmp_path, monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "kubernetes"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "kubernetes", None)
    assert resolve(kubeconfig=config(token="abc")).headers["authorization"] == "Bearer abc"
    with pytest.raises(MissingLibrary, match="kubernetes"):
        resolve(kubeconfig=config(**plugin(tmp_path)))


def test_the_server_is_known_without_reading_credentials(tmp_path):
    settings = connection_settings({"kubeconfig": config(tokenFile=str(tmp_path / "nowhere"))}, {})
    assert access.server(settings, {}) == "https://parent:6443"
