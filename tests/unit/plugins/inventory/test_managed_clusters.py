"""Sources in, hosts, groups and variables out."""

import base64
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ansible.errors import AnsibleError
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import inventory_loader
from fleet_server import Certificates, FleetServer, managed_cluster

NAME = "clusternet.core.managed_clusters"


def groups(manager):
    found = {name: sorted(members) for name, members in manager.get_groups_dict().items()}
    return {name: members for name, members in found.items() if members and name not in ("all", "ungrouped")}


def variables(manager, host):
    return {name: value for name, value in manager.get_host(host).vars.items() if name.startswith("clusternet_")}


def test_variables_of_a_host_are_the_documented_table(server, inventory):
    cluster = managed_cluster("berlin")
    cluster["spec"]["taints"] = [
        {"key": "z", "effect": "NoSchedule", "timeAdded": "2026-11-23T10:00:00Z"},
        {"key": "a", "effect": "NoExecute", "value": "x"},
    ]
    server.clusters = [cluster]
    assert variables(inventory(host=server.url), "berlin") == {
        "clusternet_id": cluster["spec"]["clusterId"],
        "clusternet_name": "berlin",
        "clusternet_namespace": "clusternet-berlin",
        "clusternet_labels": {"clusters.clusternet.io/cluster-name": "berlin", "region": "eu"},
        "clusternet_taints": [
            {"key": "a", "value": "x", "effect": "NoExecute"},
            {"key": "z", "value": "", "effect": "NoSchedule"},
        ],
        "clusternet_sync_mode": "Dual",
        "clusternet_cluster_type": "StandardCluster",
        "clusternet_ready": True,
        "clusternet_readiness": "ready",
        "clusternet_ready_reason": "ManagedClusterReady",
        "clusternet_status": {
            "version": "v1.34.4",
            "platform": "linux/amd64",
            "agent_version": "v0.1.0",
            "apiserver_url": "https://10.0.0.1:6443",
            "healthz": True,
            "livez": True,
            "readyz": True,
            "nodes": {"ready": 3, "not_ready": 0, "unknown": 0, "lost": 0},
            "capacity": {"cpu": "12", "memory": "64Gi"},
            "allocatable": {"cpu": "11", "memory": "60Gi"},
            "cluster_cidr": None,
            "service_cidr": None,
            "app_pusher": True,
            "use_socket": True,
        },
    }


def test_ready_made_groups(server, inventory):
    server.clusters = [managed_cluster("a"), managed_cluster("b", ready="False"), managed_cluster("c", ready="Unknown")]
    server.clusters.append(managed_cluster("d", ready=None, spec={"clusterId": "x", "syncMode": "Pull"}))
    assert groups(inventory(host=server.url)) == {
        "clusternet": ["a", "b", "c", "d"],
        "clusternet_ready": ["a"],
        "clusternet_not_ready": ["b"],
        "clusternet_unknown": ["c", "d"],
        "clusternet_type_standardcluster": ["a", "b", "c"],
        "clusternet_sync_dual": ["a", "b", "c"],
        "clusternet_sync_pull": ["d"],
    }


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (["all"], {"clusternet"}),
        (["readiness"], {"clusternet_ready", "clusternet_not_ready", "clusternet_unknown"}),
        (["cluster_type"], {"clusternet_type_standardcluster"}),
        (["sync_mode"], {"clusternet_sync_dual"}),
        ([], set()),
    ],
)
def test_each_ready_made_group_can_be_left_out(server, inventory, wanted, expected):
    server.clusters = [managed_cluster("a")]
    assert set(inventory(host=server.url, default_groups=wanted).groups) == {"all", "ungrouped"} | expected


def test_user_groups_and_variables(server, inventory):
    server.clusters = [managed_cluster("a"), managed_cluster("b", ready="False")]
    manager = inventory(
        host=server.url,
        default_groups=[],
        compose={"cpus": "clusternet_status.capacity.cpu | int"},
        groups={"broken": "not clusternet_ready", "big": "cpus > 10"},
        keyed_groups=[
            {"key": "clusternet_labels.region", "prefix": "region"},
            {"key": "clusternet_labels['clusters.clusternet.io/cluster-name'] | upper", "prefix": "name"},
            {"key": "clusternet_labels.missing", "prefix": "missing"},
        ],
    )
    assert groups(manager) == {
        "big": ["a", "b"],
        "broken": ["b"],
        "region_eu": ["a", "b"],
        "name_A": ["a"],
        "name_B": ["b"],
    }
    assert manager.get_host("a").vars["cpus"] == 12


@pytest.mark.parametrize(
    "option",
    [
        {"compose": {"x": "clusternet_labels.nothing"}},
        {"groups": {"x": "clusternet_labels.nothing == 1"}},
        {"keyed_groups": [{"key": "clusternet_labels.nothing"}]},
        {"hostname": "clusternet_labels.nothing"},
    ],
)
def test_strict_makes_a_failing_expression_an_error(server, inventory, option):
    server.clusters = [managed_cluster("a")]
    assert list(inventory(host=server.url, **option).hosts) == ["a"]
    with pytest.raises(AnsibleError):
        inventory(host=server.url, strict=True, **option)


def test_hostname_is_an_expression(server, inventory):
    server.clusters = [managed_cluster("a"), managed_cluster("b")]
    manager = inventory(host=server.url, hostname="clusternet_name ~ '.' ~ clusternet_labels.region")
    assert sorted(manager.hosts) == ["a.eu", "b.eu"]


def test_label_selector_is_applied_by_the_server(server, inventory):
    server.clusters = [managed_cluster("a"), managed_cluster("b")]
    server.clusters[0]["metadata"]["labels"]["region"] = "us"
    assert list(inventory(host=server.url, label_selector="region=us").hosts) == ["a"]
    assert [seen.query["labelSelector"] for seen in server.requests] == ["region=us"]


def test_the_environment_for_kubernetes_programs(server, inventory, warnings, monkeypatch, tmp_path):
    server.clusters = [managed_cluster("berlin"), managed_cluster("berlin", namespace="clusternet-b")]
    found = inventory(host=server.url, gateway_kubeconfig="~/children").get_host("berlin.clusternet-b").vars
    assert found["clusternet_environment"] == {
        "K8S_AUTH_KUBECONFIG": f"{tmp_path}/children.d/clusternet-b.berlin",
        "K8S_AUTH_CONTEXT": "clusternet-b.berlin",
        "K8S_AUTH_NO_PROXY": "127.0.0.1",
        "KUBECONFIG": f"{tmp_path}/children.d/clusternet-b.berlin",
    }
    assert found["ansible_connection"] == "local"
    assert not [text for text in warnings if "kubernetes.core" in text]
    monkeypatch.setenv("K8S_AUTH_HOST", server.url)
    monkeypatch.setenv("CLUSTERNET_INVENTORY_GATEWAY_KUBECONFIG", "/srv/children")
    found = inventory().get_host("berlin.clusternet-b").vars["clusternet_environment"]
    assert found["KUBECONFIG"] == "/srv/children.d/clusternet-b.berlin"
    assert [text for text in warnings if "K8S_AUTH_HOST in the environment" in text]


def test_set_local_connection_uses_the_python_that_runs_ansible(server, inventory):
    server.clusters = [managed_cluster("a")]
    assert "ansible_connection" not in inventory(host=server.url).get_host("a").vars
    found = inventory(host=server.url, set_local_connection=True).get_host("a").vars
    assert found["ansible_connection"] == "local"
    assert found["ansible_python_interpreter"] == "{{ ansible_playbook_python }}"


@pytest.mark.parametrize(
    ("name", "accepted"),
    [
        ("clusternet.yml", True),
        ("clusternet.yaml", True),
        ("eu.clusternet.yml", True),
        ("hosts.yml", False),
        ("clusternet.json", False),
        ("clusternet.yml.bak", False),
    ],
)
def test_only_files_named_for_it_are_read(tmp_path, name, accepted):
    path = tmp_path / name
    path.write_text("plugin: clusternet.core.managed_clusters\n")
    assert inventory_loader.get(NAME).verify_file(str(path)) is accepted


def test_every_option_has_an_environment_variable():
    options = inventory_loader.get(NAME).option_definitions
    missing = [name for name, option in options.items() if not option.get("env")]
    assert missing == ["plugin"]


def test_options_from_the_environment(server, listed, tmp_path):
    server.clusters = [managed_cluster("a"), managed_cluster("b", "clusternet-b")]
    source = tmp_path / "clusternet.yml"
    source.write_text("plugin: clusternet.core.managed_clusters\n")
    found = listed(
        source,
        K8S_AUTH_HOST=server.url,
        K8S_AUTH_API_KEY="from-environment",
        K8S_AUTH_VERIFY_SSL="",
        CLUSTERNET_INVENTORY_NAMESPACES="clusternet-b",
        CLUSTERNET_INVENTORY_HOSTNAME="clusternet_name ~ '-x'",
        CLUSTERNET_INVENTORY_DEFAULT_GROUPS="all",
        CLUSTERNET_INVENTORY_KEYED_GROUPS="[{key: clusternet_labels.region, prefix: r}]",
        CLUSTERNET_INVENTORY_GROUPS="{g: clusternet_ready}",
        CLUSTERNET_INVENTORY_COMPOSE="{v: clusternet_name | upper}",
    )
    assert found["_meta"]["hostvars"]["b-x"]["v"] == "B"
    assert {"clusternet", "r_eu", "g"} == set(found) - {"_meta", "all"}
    assert server.requests[0].headers["authorization"] == ["Bearer from-environment"]


OPTIONS = inventory_loader.get(NAME).option_definitions
VARIABLES = sorted(str(entry["name"]) for option in OPTIONS.values() for entry in option.get("env", ()))


def found(manager):
    """Return all that an inventory says."""
    ours = {host: variables(manager, host) for host in sorted(manager.hosts)}
    return ours, {name: sorted(members) for name, members in manager.get_groups_dict().items()}


@pytest.mark.parametrize("name", VARIABLES)
def test_an_empty_variable_counts_as_not_given(server, inventory, monkeypatch, tmp_path, name):
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    server.clusters = [managed_cluster("a"), managed_cluster("b", ready="False")]
    options = {"host": server.url, "keyed_groups": [{"key": "clusternet_labels.region"}]}
    given = found(inventory(**options))
    monkeypatch.setenv(name, "")
    assert found(inventory(**options)) == given
    assert os.environ[name] == ""


@pytest.mark.parametrize("name", sorted(map(str, set(OPTIONS) - {"plugin", "host"})))
def test_an_empty_option_counts_as_not_given(server, inventory, monkeypatch, tmp_path, name):
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    server.clusters = [managed_cluster("a"), managed_cluster("b", ready="False")]
    options = {"host": server.url}
    if name != "keyed_groups":
        options["keyed_groups"] = [{"key": "clusternet_labels.region"}]
    given = found(inventory(**options))
    assert found(inventory(**options, **{name: ""})) == given


def test_empty_options_have_their_defaults(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    plain, empty = (inventory_loader.get(NAME) for _ in range(2))
    plain.set_options(direct={"plugin": NAME})
    for name in VARIABLES:
        monkeypatch.setenv(name, "")
    empty.set_options(direct={"plugin": NAME, **{name: "" for name in OPTIONS if name != "plugin"}})
    assert {name: empty.get_option(name) for name in OPTIONS} == {name: plain.get_option(name) for name in OPTIONS}


def test_an_empty_spelling_leaves_the_other_one(monkeypatch):
    monkeypatch.setenv("K8S_AUTH_CA_CERT", "/the/ca.pem")
    monkeypatch.setenv("K8S_AUTH_SSL_CA_CERT", "")
    plugin = inventory_loader.get(NAME)
    plugin.set_options(direct={"plugin": NAME})
    assert plugin.get_option("ca_cert") == "/the/ca.pem"


# Connection


def test_unreachable_parent_is_one_clear_error(failure):
    assert "Cannot reach the API server http://127.0.0.1:1: connection refused" in failure(host="http://127.0.0.1:1")


def test_wrong_credentials_are_one_clear_error(server, failure):
    server.tokens = {"right"}
    text = failure(host=server.url, api_key="secret-but-wrong")
    assert "does not accept the credentials" in text
    assert "secret-but-wrong" not in text
    assert len(server.requests) == 1


def test_missing_crds_are_one_clear_error(server, failure):
    server.kind_known = False
    assert "it is not the parent, or Clusternet's CRDs are not installed" in failure(host=server.url)


@pytest.mark.parametrize("how", ["home", "relative", "absolute", "variable"])
def test_kubeconfig_paths(server, inventory, tmp_path, monkeypatch, how):
    server.clusters = [managed_cluster("a")]
    (tmp_path / "config.yml").write_text(kubeconfig(server.url, {"token": "t"}))
    monkeypatch.chdir(tmp_path)
    path = {
        "home": "~/config.yml",
        "relative": "config.yml",
        "absolute": str(tmp_path / "config.yml"),
        "variable": "$HOME/config.yml",
    }[how]
    assert list(inventory(kubeconfig=path).hosts) == ["a"]


def test_missing_kubeconfig_names_the_path(failure, tmp_path):
    assert f"There is no kubeconfig at {tmp_path}/nowhere" in failure(kubeconfig=str(tmp_path / "nowhere"))


def test_tls_with_client_certificate_in_a_kubeconfig(inventory, tmp_path):
    pem = Certificates.make(tmp_path)
    encoded = base64.b64encode(pem.client.read_bytes()).decode()
    with FleetServer([managed_cluster("a")], tls=pem) as server:
        text = kubeconfig(
            server.url,
            {"client-certificate-data": encoded, "client-key-data": encoded},
            {"certificate-authority": "ca.pem"},
        )
        (tmp_path / "config").write_text(text)
        assert list(inventory(kubeconfig=str(tmp_path / "config")).hosts) == ["a"]


def test_pain_25_untrusted_certificate_fails_and_says_what_to_do(failure, tmp_path):
    with FleetServer(tls=Certificates.make(tmp_path)) as server:
        text = failure(host=server.url)
        assert "certificate is not trusted" in text
        assert "Give the CA by ca_cert" in text
        assert server.requests == []


def test_pain_25_verification_off_is_a_warning(inventory, tmp_path, warnings):
    with FleetServer([managed_cluster("a")], tls=Certificates.make(tmp_path)) as server:
        assert list(inventory(host=server.url, validate_certs=False).hosts) == ["a"]
    assert any("is not verified" in text for text in warnings)


@pytest.mark.parametrize("spelling", ["K8S_AUTH_VERIFY_SSL", "K8S_AUTH_VALIDATE_CERTS"])
def test_pain_25_text_that_is_no_boolean_never_turns_verification_off(failure, tmp_path, monkeypatch, spelling):
    monkeypatch.setenv(spelling, "ture")
    with FleetServer(tls=Certificates.make(tmp_path)) as server:
        assert "validate_certs must be a boolean" in failure(host=server.url)
        monkeypatch.setenv(spelling, "")
        assert "certificate is not trusted" in failure(host=server.url)


# Pains of the neighbours


def test_pain_16_ordinary_strings_are_plain_and_hostile_ones_never_evaluated(server, listed, tmp_path):
    call = f"lookup('pipe', 'touch {tmp_path}/evaluated')"
    hostile = f"{{{{ {call} }}}}"
    overrides = f"#jinja2: variable_start_string:'[[', variable_end_string:']]'\n[[ {call} ]]"
    server.clusters = [managed_cluster("good"), managed_cluster("evil")]
    server.clusters[1]["status"] |= {"platform": hostile, "agentVersion": overrides}
    server.clusters[1]["spec"]["clusterType"] = hostile
    source = tmp_path / "clusternet.yml"
    source.write_text(
        yaml.safe_dump(
            {
                "plugin": NAME,
                "host": server.url,
                "compose": {"copy": "clusternet_status.platform"},
                "keyed_groups": [{"key": "clusternet_status.platform", "prefix": "p"}],
            }
        )
    )
    found = listed(source)["_meta"]["hostvars"]
    assert "__ansible_unsafe" not in json.dumps(found["good"])
    assert found["good"]["clusternet_status"]["platform"] == "linux/amd64"
    assert hostile in json.dumps(found["evil"]).replace('\\"', '"')
    assert not (tmp_path / "evaluated").exists()


def test_pain_16_hostile_strings_are_not_evaluated_in_a_play(server, tmp_path):
    server.clusters = [managed_cluster("evil")]
    server.clusters[0]["status"]["platform"] = "{{ 6 * 7 }}"
    (tmp_path / "clusternet.yml").write_text(yaml.safe_dump({"plugin": NAME, "host": server.url}))
    (tmp_path / "play.yml").write_text(
        yaml.safe_dump(
            [
                {
                    "hosts": "clusternet",
                    "gather_facts": False,
                    "tasks": [{"ansible.builtin.debug": {"msg": "seen: {{ clusternet_status.platform }}"}}],
                }
            ]
        )
    )
    environ = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(Path(__file__).parents[4] / ".build" / "collections")}
    result = subprocess.run(
        [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "clusternet.yml", "play.yml"],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "seen: {{ 6 * 7 }}" in result.stdout


def test_pain_17_few_variables_for_each_host(server, inventory):
    server.clusters = [managed_cluster("a")]
    assert len(variables(inventory(host=server.url), "a")) <= 12


def cache(tmp_path):
    return {"cache": True, "cache_plugin": "ansible.builtin.jsonfile", "cache_connection": str(tmp_path / "cache")}


def test_pain_18_a_cache_hit_sends_nothing_and_gives_the_same(inventory, tmp_path):
    with FleetServer([managed_cluster("a"), managed_cluster("b", ready=None)]) as server:
        options = {"host": server.url, "keyed_groups": [{"key": "clusternet_labels.region"}], **cache(tmp_path)}
        first = inventory(**options)
    second = inventory(**options)  # the port is dead now
    assert groups(second) == groups(first)
    assert variables(second, "b") == variables(first, "b")


def test_pain_18_flush_cache_asks_again(server, inventory, tmp_path):
    server.clusters = [managed_cluster("a")]
    inventory(host=server.url, **cache(tmp_path))
    server.clusters = [managed_cluster("b")]
    assert list(inventory(host=server.url, **cache(tmp_path)).hosts) == ["a"]
    assert list(inventory(host=server.url, read_cache=False, **cache(tmp_path)).hosts) == ["b"]
    assert len(server.requests) == 2
    assert list(inventory(host=server.url, **cache(tmp_path)).hosts) == ["b"]


@pytest.mark.parametrize(
    "change",
    [
        {"label_selector": "region=eu"},
        {"namespaces": ["clusternet-a"]},
        {"full_object": True},
        {"file": "x.clusternet.yml"},
    ],
)
def test_pain_18_another_question_is_another_entry(server, inventory, tmp_path, change):
    server.clusters = [managed_cluster("a")]
    inventory(host=server.url, **cache(tmp_path))
    inventory(host=server.url, **cache(tmp_path), **change)
    assert len(server.requests) == 2


def test_pain_18_another_parent_is_another_entry(server, inventory, tmp_path):
    server.clusters = [managed_cluster("a")]
    inventory(host=server.url, **cache(tmp_path))
    with FleetServer([managed_cluster("other")]) as other:
        assert list(inventory(host=other.url, **cache(tmp_path)).hosts) == ["other"]


def test_pain_18_no_token_in_the_cache(server, inventory, tmp_path):
    server.clusters = [managed_cluster("a")]
    inventory(host=server.url, api_key="planted-secret", **cache(tmp_path))
    written = [path.read_text() for path in (tmp_path / "cache").iterdir()]
    assert written
    assert "planted-secret" not in "".join(written)


@pytest.mark.parametrize("count", [0, 1, 499, 500, 501, 1700])
def test_pain_19_no_page_is_lost(server, inventory, count):
    server.clusters = [managed_cluster(f"c{number:04}") for number in range(count)]
    assert sorted(inventory(host=server.url).hosts) == [f"c{number:04}" for number in range(count)]
    assert len(server.requests) == max(1, -(-count // 500))


@pytest.mark.parametrize("times", [1, 2, 3])
def test_pain_19_an_expired_page_starts_the_list_again(server, inventory, times):
    server.clusters = [managed_cluster(f"c{number:04}") for number in range(1200)]
    server.expire_continue = times
    assert len(inventory(host=server.url).hosts) == 1200


def test_pain_20_one_request_for_a_fleet_in_many_namespaces(server, inventory):
    server.clusters = [managed_cluster(f"c{number}", f"clusternet-{number}") for number in range(100)]
    assert len(inventory(host=server.url).hosts) == 100
    assert len(server.requests) == 1


def test_pain_21_namespaced_lists_for_users_without_more(server, inventory):
    server.clusters = [managed_cluster("a", "clusternet-a"), managed_cluster("b", "clusternet-b")]
    server.forbidden = {""}
    assert list(inventory(host=server.url, namespaces=["clusternet-b"]).hosts) == ["b"]


def test_pain_21_a_refusal_names_verb_resource_and_user(server, failure):
    server.forbidden = {""}
    text = failure(host=server.url)
    assert 'User "jane" cannot list resource "managedclusters"' in text
    assert "name namespaces" in text


def test_pain_21_forbidden_namespaces_can_be_skipped(server, inventory, warnings):
    server.clusters = [managed_cluster("a", "clusternet-a"), managed_cluster("b", "clusternet-b")]
    server.forbidden = {"clusternet-a"}
    manager = inventory(host=server.url, namespaces=["clusternet-a", "clusternet-b"], strict_permissions=False)
    assert list(manager.hosts) == ["b"]
    assert any('in the namespace "clusternet-a"' in text for text in warnings)


def test_pain_22_hosts_are_clusters(server, inventory):
    server.clusters = [managed_cluster("a")]
    inventory(host=server.url)
    assert {seen.path.rsplit("/", 1)[1] for seen in server.requests} == {"managedclusters"}


def test_pain_31_a_refresh_of_an_unchanged_fleet_prints_the_same_bytes(server, ansible_inventory, tmp_path):
    server.clusters = [managed_cluster("b"), managed_cluster("a", ready="Unknown")]
    source = tmp_path / "clusternet.yml"
    source.write_text(yaml.safe_dump({"plugin": NAME, "host": server.url}))
    first = ansible_inventory(source, "--list")
    for cluster in reversed(server.clusters):
        cluster["metadata"]["resourceVersion"] = "8"
        cluster["metadata"]["labels"] = dict(reversed(cluster["metadata"]["labels"].items()))
        cluster["status"]["lastObservedTime"] = "2026-11-23T11:11:11Z"
        cluster["status"]["conditions"][0]["lastTransitionTime"] = "2026-11-23T11:11:11Z"
    server.clusters.reverse()
    second = ansible_inventory(source, "--list")
    assert first.returncode == 0
    assert second.stdout == first.stdout


def test_pain_34_equal_names_in_different_namespaces_never_merge(server, inventory, warnings):
    server.clusters = [managed_cluster("same", "ns-1"), managed_cluster("same", "ns-2"), managed_cluster("one", "ns-3")]
    manager = inventory(host=server.url)
    assert sorted(manager.hosts) == ["one", "same.ns-1", "same.ns-2"]
    assert manager.get_host("same.ns-2").vars["clusternet_namespace"] == "ns-2"
    assert any("same" in text and "not unique" in text for text in warnings)


@pytest.mark.parametrize("name", ["all", "ungrouped", "clusternet"])
def test_pain_34_a_cluster_named_like_a_group_is_still_a_host(server, inventory, name):
    server.clusters = [managed_cluster(name, "ns-1")]
    manager = inventory(host=server.url)
    assert list(manager.hosts) == [f"{name}.ns-1"]
    assert groups(manager)["clusternet"] == [f"{name}.ns-1"]


def test_pain_34_equal_hostnames_never_merge(server, inventory):
    server.clusters = [managed_cluster("a", "ns-1"), managed_cluster("b", "ns-2")]
    manager = inventory(host=server.url, hostname="clusternet_labels.region")
    assert sorted(manager.hosts) == ["eu.a.ns-1", "eu.b.ns-2"]


def keyed(**entry):
    return {"keyed_groups": [{"key": "clusternet_labels.region", "prefix": "", "separator": "", **entry}]}


EU = {"eu": "clusternet_name == 'a'"}


@pytest.mark.parametrize("how", [keyed(), {"groups": EU}], ids=["keyed_groups", "groups"])
def test_a_group_by_expression_doesnt_take_the_name_of_a_host(server, inventory, warnings, failure, how):
    server.clusters = [managed_cluster("a"), managed_cluster("eu")]
    manager = inventory(host=server.url, default_groups=["all"], **how)
    assert [host.name for host in manager.get_hosts("eu")] == ["eu"]
    assert groups(manager) == {"clusternet": ["a", "eu"]}
    (text,) = warnings
    assert "have the names of hosts: eu. Give them other names" in text
    assert "have the names of hosts: eu. Give them other names" in failure(host=server.url, strict=True, **how)


def test_members_of_a_group_that_is_left_out_are_in_its_parent_group(server, inventory, warnings):
    server.clusters = [managed_cluster("a"), managed_cluster("eu"), managed_cluster("b")]
    server.clusters[2]["metadata"]["labels"]["region"] = "us"
    manager = inventory(host=server.url, default_groups=["all"], **keyed(parent_group="regions"))
    assert groups(manager) == {"clusternet": ["a", "b", "eu"], "regions": ["a", "b", "eu"], "us": ["b"]}
    manager = inventory(host=server.url, default_groups=["all"], **keyed(prefix="r", parent_group="eu"))
    assert groups(manager) == {"clusternet": ["a", "b", "eu"], "reu": ["a", "eu"], "rus": ["b"]}
    assert len(warnings) == 2


def two_sources(tmp_path, *sources):
    """Parse sources one after the other into one inventory."""
    paths = []
    for number, options in enumerate(sources):
        paths.append(tmp_path / f"{number}.clusternet.yml")
        paths[-1].write_text(yaml.safe_dump({"plugin": NAME, **options}))
    return InventoryManager(loader=DataLoader(), sources=[str(path) for path in paths])


def test_clusters_of_two_parents_with_one_name_never_merge(server, inventory, tmp_path, capfd):
    with FleetServer() as other:
        server.clusters = [managed_cluster("berlin", "ns-1"), managed_cluster("bonn", "ns-2")]
        other.clusters = [managed_cluster("berlin", "ns-3"), managed_cluster("wien", "ns-4")]
        sources = [{"host": server.url}, {"host": other.url}]
        with pytest.raises(AnsibleError):
            two_sources(tmp_path, *sources)
        said = " ".join(capfd.readouterr().err.split())
        assert "The host name berlin is wanted by the cluster ns-3/berlin, but it is the cluster ns-1/berlin" in said
        assert "by the option hostname" in said
        sources[1]["hostname"] = "clusternet_name ~ '.south'"
        manager = two_sources(tmp_path, *sources)
        assert sorted(manager.hosts) == ["berlin", "berlin.south", "bonn", "wien.south"]
        assert manager.get_host("berlin").vars["clusternet_namespace"] == "ns-1"


def test_a_source_that_is_refused_adds_no_host_and_changes_none(server, inventory, tmp_path, monkeypatch):
    monkeypatch.setattr("ansible.constants.INVENTORY_ANY_UNPARSED_IS_FAILED", False)
    with FleetServer() as other:
        server.clusters = [managed_cluster("berlin", "ns-1")]
        other.clusters = [managed_cluster("aachen", "ns-2"), managed_cluster("berlin", "ns-3")]
        manager = two_sources(tmp_path, {"host": server.url}, {"host": other.url})
    assert list(manager.hosts) == ["berlin"]
    assert manager.get_host("berlin").vars["clusternet_namespace"] == "ns-1"


def test_one_cluster_in_two_sources_is_one_host(server, inventory, tmp_path, warnings):
    server.clusters = [managed_cluster("berlin")]
    manager = two_sources(tmp_path, {"host": server.url}, {"host": server.url, "groups": {"g": True}})
    assert groups(manager)["g"] == ["berlin"]
    assert warnings == []


def test_a_host_of_another_inventory_is_the_cluster_of_its_name(server, inventory, tmp_path, monkeypatch):
    enabled = ["clusternet.core.managed_clusters", "ansible.builtin.yaml"]
    monkeypatch.setattr("ansible.constants.INVENTORY_ENABLED", enabled)
    server.clusters = [managed_cluster("berlin")]
    (tmp_path / "a.yml").write_text(yaml.safe_dump({"all": {"hosts": {"berlin": {"owner": "me"}}}}))
    (tmp_path / "b.clusternet.yml").write_text(yaml.safe_dump({"plugin": NAME, "host": server.url}))
    sources = [str(tmp_path / "a.yml"), str(tmp_path / "b.clusternet.yml")]
    host = InventoryManager(loader=DataLoader(), sources=sources).get_host("berlin")
    assert (host.vars["owner"], host.vars["clusternet_name"]) == ("me", "berlin")


def test_a_cluster_that_nobody_registered_is_no_host(server, inventory, warnings):
    """One that a child has invented, in its own namespace, and one that has the identity of another cluster."""
    shop, bank = managed_cluster("shop", "ns-1"), managed_cluster("bank", "ns-2")
    for cluster in (shop, bank):
        cluster["metadata"]["creationTimestamp"] = "2026-11-23T10:00:00Z"
    invented, stolen = managed_cluster("bank-prod", "ns-1"), managed_cluster("bank", "ns-1")
    stolen["spec"]["clusterId"] = bank["spec"]["clusterId"]
    for cluster in (invented, stolen):
        cluster["metadata"]["creationTimestamp"] = "2026-11-23T11:00:00Z"
    server.clusters = [invented, stolen, shop, bank]
    assert sorted(inventory(host=server.url).hosts) == ["bank", "shop"]
    assert len([text for text in warnings if "is left out" in text]) == 2


def test_pain_35_the_whole_object_is_opt_in_and_one_variable(server, inventory):
    server.clusters = [managed_cluster("a")]
    assert "clusternet_object" not in inventory(host=server.url).get_host("a").vars
    found = inventory(host=server.url, full_object=True).get_host("a").vars["clusternet_object"]
    assert found["status"]["lastObservedTime"] == "2026-11-23T10:00:00Z"
    assert "managedFields" not in found["metadata"]


# Examples


def examples():
    return list(yaml.safe_load_all(inventory_examples()))


def inventory_examples():
    path = Path(__file__).parents[4] / "plugins" / "inventory" / "managed_clusters.py"
    return path.read_text().split('EXAMPLES = r"""', 1)[1].split('"""', 1)[0]


@pytest.mark.parametrize("number", range(len(examples())))
def test_examples_run(server, inventory, tmp_path, number):
    server.clusters = [managed_cluster("a", "clusternet-team-a"), managed_cluster("b", "clusternet-team-b")]
    for cluster in server.clusters:
        cluster["metadata"]["labels"] |= {"continent": "eu", "example.com/tier": "gold"}
        cluster["status"]["capacity"]["nvidia.com/gpu"] = "4"
    (tmp_path / ".kube").mkdir()
    for name in ("config", "parent", "south"):
        (tmp_path / ".kube" / name).write_text(kubeconfig(server.url, {"token": "t"}))
    shutil.copy(Certificates.make(tmp_path).ca, tmp_path / "parent-ca.pem")
    example = {key: value for key, value in examples()[number].items() if key != "plugin"}
    if "host" in example:
        example["host"] = server.url
    manager = inventory(**example, **({} if example.get("strict") is not None else {"strict": True}))
    assert len(manager.hosts) == 2


def kubeconfig(server, user, cluster=None):
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
            "clusters": [{"name": "k", "cluster": {"server": server, **(cluster or {})}}],
            "users": [{"name": "u", "user": user}],
        }
    )
