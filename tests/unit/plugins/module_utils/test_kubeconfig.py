"""Reading kubeconfigs as kubectl does."""

import json
import sys

import pytest
import yaml
from ansible_collections.clusternet.core.plugins.module_utils import kubeconfig
from ansible_collections.clusternet.core.plugins.module_utils.errors import ConfigError, MissingLibrary


def config(name="c", **user):
    return {
        "current-context": name,
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "clusters": [{"name": name, "cluster": {"server": f"https://{name}"}}],
        "users": [{"name": name, "user": user}],
    }


def test_default_is_the_environment_then_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".kube").mkdir()
    (tmp_path / ".kube" / "config").write_text(yaml.safe_dump(config("home")))
    (tmp_path / "other").write_text(yaml.safe_dump(config("other")))
    assert kubeconfig.load(None, {})["current-context"] == "home"
    assert kubeconfig.load(None, {"KUBECONFIG": str(tmp_path / "other")})["current-context"] == "other"


def test_several_files_are_merged_and_the_first_wins(tmp_path):
    first, second = config("a"), config("b")
    second["clusters"].append({"name": "a", "cluster": {"server": "https://shadowed"}})
    (tmp_path / "1").write_text(json.dumps(first))
    (tmp_path / "2").write_text(yaml.safe_dump(second))
    merged = kubeconfig.load(f"{tmp_path}/1:{tmp_path}/nowhere:{tmp_path}/2")
    assert merged["current-context"] == "a"
    assert kubeconfig.entries(merged)[0]["server"] == "https://a"
    assert kubeconfig.entries(merged, "b")[0]["server"] == "https://b"


def test_paths_inside_are_relative_to_the_file(tmp_path):
    text = config("c", tokenFile="token", **{"client-certificate": "c.pem", "client-key": "/abs/k.pem"})
    text["users"][0]["user"]["exec"] = {"command": "./plugin"}
    (tmp_path / "config").write_text(yaml.safe_dump(text))
    user = kubeconfig.entries(kubeconfig.load(str(tmp_path / "config")))[1]
    assert user["tokenFile"] == f"{tmp_path}/token"
    assert user["client-certificate"] == f"{tmp_path}/c.pem"
    assert user["client-key"] == "/abs/k.pem"
    assert user["exec"]["command"].startswith(str(tmp_path))


@pytest.mark.parametrize("text", ["[1, 2]", "{", "a: b: c", "\x00"])
def test_what_is_no_kubeconfig_names_the_file(tmp_path, text):
    (tmp_path / "config").write_text(text)
    with pytest.raises(ConfigError, match=str(tmp_path / "config")) as caught:
        kubeconfig.load(str(tmp_path / "config"))
    assert caught.value.option == "kubeconfig"


def test_unknown_names_say_which_there_are():
    with pytest.raises(ConfigError, match=r"no context 'x' \(there: c\)"):
        kubeconfig.entries(config(), "x")
    with pytest.raises(ConfigError, match="no current-context"):
        kubeconfig.entries({})


def test_without_pyyaml_json_works_and_yaml_says_what_is_missing(tmp_path, monkeypatch):
    (tmp_path / "json").write_text(json.dumps(config()))
    (tmp_path / "yaml").write_text(yaml.safe_dump(config()))
    monkeypatch.setitem(sys.modules, "yaml", None)
    assert kubeconfig.load(str(tmp_path / "json"))["current-context"] == "c"
    with pytest.raises(MissingLibrary, match="PyYAML"):
        kubeconfig.load(str(tmp_path / "yaml"))


def test_pain_13_names_in_a_kubeconfig_stay_readable_and_secrets_do_not():
    config = {
        "apiVersion": "v1",
        "current-context": "parent",
        "contexts": [{"name": "parent", "context": {"cluster": "hub", "user": "admin", "namespace": "default"}}],
        "clusters": [{"name": "hub", "cluster": {"server": "https://hub", "proxy-url": "http://user:pw@proxy"}}],
        "users": [{"name": "admin", "user": {"token": "s3cret", "username": "me", "password": "hub"}}],
    }
    assert kubeconfig.public_texts(config) == {"v1", "parent", "admin", "default", "https://hub"}
    assert kubeconfig.public_texts(None) == kubeconfig.public_texts("apiVersion: v1\nkind: Config") == set()
    assert kubeconfig.public_texts("/etc/kubeconfig") == {"/etc/kubeconfig"}


def test_paths_in_a_kubeconfig_stay_readable_and_contents_in_their_place_do_not():
    paths = {"client-certificate": "/a.pem", "client-key": "/k.pem", "tokenFile": "/token"}
    given = config("c", **paths, exec={"command": "/bin/aws", "env": [{"name": "KEY", "value": "s3cret"}]})
    assert {*paths.values(), "/bin/aws"} <= kubeconfig.public_texts(given)
    assert "s3cret" not in kubeconfig.public_texts(given)
    pem = "-----BEGIN PRIVATE KEY-----\nMII"
    assert pem not in kubeconfig.public_texts(config("c", **{"client-key": pem}))


@pytest.mark.parametrize("wrong", [{"users": "x"}, {"users": [1]}, {"users": [{"user": "x"}]}, {"clusters": {"a": 1}}])
def test_what_a_malformed_kubeconfig_holds_is_no_public_text(wrong):
    assert kubeconfig.public_texts(wrong) == set()


@pytest.mark.parametrize("text", ["apiVersion: v1\nusers: [planted]", '{"users": "planted"}', "eyJhbGciplanted.x.y"])
def test_a_content_given_as_text_is_refused_and_not_repeated(text):
    with pytest.raises(ConfigError, match="is a text that is no path") as caught:
        kubeconfig.load(text)
    assert "planted" not in str(caught.value)


def test_several_documents_are_no_kubeconfig(tmp_path):
    path = tmp_path / "config"
    path.write_text("kind: Config\n---\nkind: Config\n")
    with pytest.raises(ConfigError, match="neither JSON nor YAML"):
        kubeconfig.load(str(path))
