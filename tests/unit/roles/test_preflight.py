"""Roles refuse what can't work before they write anything, in check mode, too, with all that is in the way at once."""

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from play import ROOT

TOKEN = "abcdef.0123456789abcdef"


def messages(role: str, folder: Path, hosts: list[str], *options: str, **variables: Any) -> dict[str, list[str]]:
    """Run a role on hosts that are this machine, which must fail; return the lines of the message of each."""
    home = f"{folder}/hosts/{{{{ inventory_hostname }}}}"
    play = {
        "hosts": "all",
        "gather_facts": False,
        "vars": {
            f"clusternet_{role}_home": home,
            f"clusternet_{role}_supervisor": "process",
            f"clusternet_{role}_kubeconfig": f"{folder}/missing",
            "clusternet_engine_home": f"{folder}/engine",
            **variables,
        },
        "roles": [f"clusternet.core.{role}"],
    }
    path = folder / "play.yml"
    path.write_text(yaml.safe_dump([play]))
    (folder / "ansible.cfg").touch()
    process = subprocess.run(
        [Path(sys.executable).with_name("ansible-playbook"), "-i", ",".join([*hosts, ""]), path, *options],
        env={
            **{key: value for key, value in os.environ.items() if not key.startswith(("K8S_AUTH_", "KUBE"))},
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".build" / "collections"),
            "ANSIBLE_CONFIG": str(folder / "ansible.cfg"),
            "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
            "ANSIBLE_TRANSPORT": "local",
            "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
            "PIP_NO_INDEX": "1",
            "NO_COLOR": "1",
        },
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert process.returncode == 2, process.stdout + process.stderr
    assert TOKEN not in process.stdout + process.stderr
    found = re.findall(r"^fatal: \[(\w+)\]: FAILED! => (\{.*\})$", process.stdout, re.MULTILINE)
    assert sorted(host for host, _ in found) == sorted(hosts), process.stdout + process.stderr
    assert not (folder / "hosts").exists()
    assert not (folder / "engine").exists()
    return {host: json.loads(result)["msg"].strip().splitlines() for host, result in found}


@pytest.mark.parametrize("options", [(), ("--check",)])
def test_an_agent(tmp_path: Path, options: tuple[str, ...]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    told = messages(
        "agent",
        tmp_path,
        ["berlin"],
        *options,
        clusternet_agent_parent_url=f"https://127.0.0.1:{port}",
        clusternet_agent_registration_token=TOKEN,
        clusternet_agent_cluster_labels={"region": "eu west"},
        clusternet_agent_status_update_frequency="often",
        clusternet_agent_feature_gates={"AppPusher": "perhaps"},
        clusternet_agent_extra_args=["--labels-aggregate-threshold=2"],
        clusternet_agent_wait_timeout=0,
        clusternet_engine_python="/bin/true",
    )["berlin"]
    assert told == [
        "clusternet-agent-berlin can't be installed on berlin. Nothing was changed there. In the way are:",
        "- clusternet_agent_cluster_labels: 'eu west' is not a valid value of the label 'region'.",
        "- clusternet_agent_feature_gates: feature gate AppPusher: 'perhaps' is neither true nor false.",
        "- clusternet_agent_status_update_frequency: 'often' is not a duration such as 20s, 3m or 1h30m.",
        "- clusternet_agent_extra_args: argument --labels-aggregate-threshold: '2' is not a number from 0 to 1.",
        "- clusternet_agent_wait_timeout: 0 must be at least 1 second.",
        f"- clusternet_agent_kubeconfig: There is no kubeconfig at {tmp_path}/missing. Set kubeconfig (or"
        " K8S_AUTH_KUBECONFIG) to one, or set host and api_key.",
        "- clusternet_engine_python: /bin/true is no Python that runs. Set clusternet_engine_python to the path of"
        " Python 3.11 or newer.",
    ]


def test_two_agents_on_one_machine(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed, socket.create_server(("127.0.0.1", 0)) as free:
        parent, port = closed.getsockname()[1], free.getsockname()[1]
    told = messages(
        "agent",
        tmp_path,
        ["austin", "berlin"],
        clusternet_agent_parent_url=f"https://127.0.0.1:{parent}",
        clusternet_agent_registration_token=TOKEN,
        clusternet_agent_secure_port=port,
        clusternet_agent_predictor_port=0,
    )
    for host, other in (("austin", "berlin"), ("berlin", "austin")):
        assert told[host][1:] == [
            f"- clusternet_agent_kubeconfig: There is no kubeconfig at {tmp_path}/missing. Set kubeconfig (or"
            " K8S_AUTH_KUBECONFIG) to one, or set host and api_key.",
            f"- clusternet_agent_parent_url: the host can't reach https://127.0.0.1:{parent}: Connection refused. Set"
            " clusternet_agent_parent_url to an address that this host reaches, or let the connection through.",
            f"- clusternet_agent_secure_port: port {port} is wanted by {other}, too, which is on the same machine. Set"
            " clusternet_agent_secure_port to another one for one of them.",
        ]


def test_an_agent_without_a_parent(tmp_path: Path) -> None:
    told = messages("agent", tmp_path, ["berlin"], clusternet_agent_cluster_name="B" * 31)["berlin"]
    assert told[1:4] == [
        "- clusternet_agent_parent_url is empty. Set it, or run the role clusternet.core.hub on berlin in the same"
        " playbook.",
        "- clusternet_agent_registration_token is empty. Set it, or run the role clusternet.core.hub on berlin in the"
        " same playbook. That needs clusternet_hub_bootstrap_token.",
        f"- clusternet_agent_cluster_name: '{'B' * 31}' has 31 characters; a cluster name may have at most 30.",
    ]


def test_a_hub(tmp_path: Path) -> None:
    told = messages(
        "hub",
        tmp_path,
        ["hub"],
        "--check",
        clusternet_hub_bind_address="127.0.0.1",
        clusternet_hub_advertise_address="169.254.1.1",
        clusternet_hub_bootstrap_token_ttl="1 day",
        clusternet_hub_child_token_lifetime="1m",
        clusternet_hub_publishers={"team a": "region=eu"},
        clusternet_hub_proxy_subjects=[{"kind": "ServiceAccount", "name": "ci"}],
        clusternet_hub_reserved_namespace="Reserved",
    )["hub"]
    assert told == [
        "clusternet-hub can't be installed on hub. Nothing was changed there. In the way are:",
        "- clusternet_hub_child_token_lifetime: 1m is neither 0 nor at least 600 s and below 2^32 s.",
        "- clusternet_hub_reserved_namespace: 'Reserved' is not the name of a namespace: at most 63 lower-case letters,"
        " digits and '-', which begin and end with a letter or digit.",
        "- clusternet_hub_publishers: 'team a=region=eu' is not NAMESPACE=SELECTOR.",
        "- clusternet_hub_bootstrap_token_ttl: '1 day' must be a duration such as 24h, 1h30m, 90s or 7d.",
        "- clusternet_hub_proxy_subjects: the ServiceAccount ci needs a namespace.",
        f"- clusternet_hub_kubeconfig: There is no kubeconfig at {tmp_path}/missing. Set kubeconfig (or"
        " K8S_AUTH_KUBECONFIG) to one, or set host and api_key.",
        "- clusternet_hub_advertise_address: Kubernetes takes no Service at 169.254.1.1. Set"
        " clusternet_hub_advertise_address to an address or DNS name of this host by which the parent's API server"
        " reaches it.",
        "- clusternet_hub_bind_address: the hub would listen at 127.0.0.1 only, where the parent's API server can't"
        " reach it by 169.254.1.1. Set clusternet_hub_bind_address to 0.0.0.0 or an address of this host.",
    ]


@pytest.mark.parametrize("role", ["hub", "agent"])
def test_every_flag_is_one_of_a_variable(role: str) -> None:
    """So messages never name a flag that the user of a role hasn't seen."""
    variables = yaml.safe_load((ROOT / "roles" / role / "vars" / "main.yml").read_text())
    options = yaml.safe_load((ROOT / "roles" / role / "meta" / "argument_specs.yml").read_text())
    known = options["argument_specs"]["main"]["options"]
    settings = [item for value in variables.values() if isinstance(value, list) for item in value]
    named = [item["variable"] for item in settings if "variable" in item]
    assert len(named) > 15
    assert set(named) <= set(known)
