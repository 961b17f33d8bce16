"""Tests what roles ask about arguments: every wrong setting at once, in the words of the role, without packages."""

import json
import subprocess
import sys
from pathlib import Path

import clusternet_engine
import pytest
from clusternet_engine.arguments import Setting, refusals

SOURCES = Path(clusternet_engine.__file__).parents[1]


def setting(flag, *values, is_list=False):
    return Setting(f"--{flag}", f"role_{flag.replace('-', '_')}", values, is_list)


def agent(*settings, further=()):
    return refusals("agent", settings, "role_extra_args", further)


def hub(*settings, further=()):
    return refusals("hub", settings, "role_extra_args", further)


def test_all_that_is_wrong_is_told_at_once():
    found = agent(
        setting("feature-gates", "AppPusher=true", "Recovry=true", is_list=True),
        setting("cluster-labels", "region=eu west", "-=x", is_list=True),
        setting("cluster-status-update-frequency", "3 minutes"),
        setting("secure-port", "66000"),
        setting("cluster-reg-name", "berlin"),
    )
    known = found[0].partition("; known are ")[2]
    assert found == [
        f"role_feature_gates: unknown feature gate 'Recovry'; known are {known}",
        "role_cluster_labels: 'eu west' is not a valid value of the label 'region'.",
        "role_cluster_labels: '-' is not a valid label key.",
        "role_cluster_status_update_frequency: '3 minutes' is not a duration such as 20s, 3m or 1h30m.",
        "role_secure_port: '66000' is not a port from 0 to 65535.",
    ]
    assert "AppPusher, " in known


def test_the_hub_has_its_own_rules():
    rules = json.dumps([{"name": ["edge"]}])
    assert hub(
        setting("publisher", "team a=region=eu"),
        setting("approval-rules", rules),
        setting("child-token-lifetime", "5m"),
        setting("repository-addresses", "127.0.0.1", "localhost", is_list=True),
        setting("reserved-namespace", "Reserved"),
        setting("bind-address", "1.2.3"),
        setting("helm-binary", ""),
    ) == [
        "role_publisher: 'team a=region=eu' is not NAMESPACE=SELECTOR.",
        "role_approval_rules: approval rule 1 has unknown fields: name.",
        "role_child_token_lifetime: 5m is neither 0 nor at least 600 s and below 2^32 s.",
        "role_repository_addresses: 'localhost' is not an IP address or CIDR; names don't open addresses like these.",
        "role_reserved_namespace: 'Reserved' is not the name of a namespace: at most 63 lower-case letters, digits and"
        " '-', which begin and end with a letter or digit.",
        "role_bind_address: '1.2.3' is neither an IP address nor a DNS name.",
        "role_helm_binary: it is empty, and must be the name or path of a program.",
    ]


def test_settings_that_contradict_each_other_are_named_by_their_variables():
    assert agent(setting("cluster-sync-mode", "Push"), setting("feature-gates")) == [
        "role_cluster_sync_mode: Push needs role_feature_gates=AppPusher=true."
    ]


def test_a_comma_makes_no_second_value():
    assert agent(setting("cluster-labels", "a=b,c=d", is_list=True)) == [
        "role_cluster_labels: 'a=b,c=d' has a comma in it, which separates values."
    ]


@pytest.mark.parametrize(
    ("further", "problem"),
    [
        (["--no-such-flag"], "unrecognized arguments: --no-such-flag."),
        (["--leader-elect-retry-period", "soon"], "argument --leader-elect-retry-period: 'soon' is not a duration"),
        (["--help"], "the program would only show something and end."),
    ],
)
def test_further_arguments(further, problem):
    (found,) = agent(further=further)
    assert found.startswith(f"role_extra_args: {problem}")


def test_what_is_right_is_not_complained_about():
    labels = setting("cluster-labels", "region=eu", "env=", is_list=True)
    assert agent(labels, setting("cluster-reg-name", ""), further=["--v", "4", "--use-metrics-server"]) == []
    assert hub(setting("publisher", "*="), setting("publisher", "a=region in (eu,us)")) == []


def test_a_token_is_not_repeated():
    (found,) = agent(setting("cluster-reg-token", "hunter2"))
    assert "hunter2" not in found
    assert found.startswith("role_cluster_reg_token: the token must be a bootstrap token")


def test_the_standard_library_is_enough():
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); import clusternet_engine.arguments;"
        "print(*{name.partition('.')[0] for name in sys.modules} - sys.stdlib_module_names)"
    )
    process = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program, SOURCES], capture_output=True, text=True, check=True, timeout=120
    )
    assert set(process.stdout.split()) <= {"clusternet_engine", "__main__"}
