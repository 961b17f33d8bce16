"""Flags of the hub, and those it shares with the agent."""

import argparse

import pytest
from clusternet_engine.flags import ClientFlags, LeaderElectionFlags, ServingFlags
from clusternet_engine.hub.arguments import CONTROLLERS, controllers, make_hub_parser, publisher

ALL = frozenset(CONTROLLERS)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("*", ALL),
        ("crrapprover", {"crrapprover"}),
        ("crrapprover, clusterlifecycle", {"crrapprover", "clusterlifecycle"}),
        ("*,-crrapprover", ALL - {"crrapprover"}),
        ("-crrapprover", set()),
        ("", set()),
    ],
)
def test_controllers(text, wanted):
    assert controllers(text) == wanted


@pytest.mark.parametrize("text", ["nonsense", "-nonsense", "**"])
def test_unknown_controllers(text):
    with pytest.raises(argparse.ArgumentTypeError, match="unknown controller"):
        controllers(text)


def test_publishers_are_selectors_by_namespace():
    arguments = make_hub_parser().parse_args(["--publisher=team-a=region in (eu,us)", "--publisher=*="])
    assert [namespace for namespace, _ in arguments.publisher] == ["team-a", "*"]
    with pytest.raises(argparse.ArgumentTypeError, match="is not NAMESPACE=SELECTOR"):
        publisher("team-a")


def test_defaults():
    parser = make_hub_parser()
    arguments = parser.parse_args([])
    assert (arguments.child_rights, arguments.publisher) == ("agent", [])
    assert arguments.controllers == ALL
    assert arguments.feature_gates == {}
    assert ServingFlags.of(arguments, parser).secure_port == 443
    assert ClientFlags.of(arguments).kubeconfig is None
    election = LeaderElectionFlags.of(arguments, parser)
    assert election == LeaderElectionFlags(True, 15.0, 10.0, 2.0, "clusternet-hub", "clusternet-system")
    assert (arguments.peer_advertise_address, arguments.peer_port, arguments.peer_token) == ("", 8123, "")


@pytest.mark.parametrize(
    ("flags", "value"),
    [(["--leader-elect"], True), (["--leader-elect=false"], False), (["--leader-elect", "F"], False), ([], True)],
)
def test_boolean_flags_may_stand_alone(flags, value):
    parser = make_hub_parser()
    assert LeaderElectionFlags.of(parser.parse_args(flags), parser).enabled is value


@pytest.mark.parametrize(
    "flags",
    [
        ["--secure-port=70000"],
        ["--secure-port=x"],
        ["--threadiness=0"],
        ["--kube-api-qps=0"],
        ["--kube-api-qps=inf"],
        ["--kube-api-qps=x"],
        ["--kube-api-burst=1.5"],
        ["--leader-elect=maybe"],
        ["--leader-elect-retry-period=0s"],
        ["--leader-elect-retry-period=2"],
        ["--feature-gates=X=true"],
        ["--peer-port=70000"],
        ["--kubecon=x"],
    ],
)
def test_wrong_values_end_the_program_and_name_the_flag(flags, capsys):
    with pytest.raises(SystemExit) as caught:
        make_hub_parser().parse_args(flags)
    assert caught.value.code == 2
    assert flags[0].partition("=")[0] in capsys.readouterr().err


@pytest.mark.parametrize("flags", [["--leader-elect-renew-deadline=2s"], ["--leader-elect-renew-deadline=20s"]])
def test_times_of_the_election_must_fit(flags):
    parser = make_hub_parser()
    with pytest.raises(SystemExit):
        LeaderElectionFlags.of(parser.parse_args(flags), parser)


def test_half_a_certificate(capsys):
    parser = make_hub_parser()
    with pytest.raises(SystemExit):
        ServingFlags.of(parser.parse_args(["--tls-cert-file=x"]), parser)
    assert "--tls-private-key-file" in capsys.readouterr().err


def test_every_flag_has_help():
    for action in make_hub_parser()._actions:
        assert action.help, action.option_strings
