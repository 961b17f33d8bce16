import re

import pytest
from clusternet_engine.agent import arguments, cli
from clusternet_engine.flags import ServingFlags


def parse(*flags):
    parser = arguments.make_agent_parser()
    return arguments.check(parser, parser.parse_args(flags))


def test_the_defaults_are_those_of_clusternet():
    settings = parse()
    assert settings.system_namespace == "clusternet-system"
    assert (settings.cluster_name, settings.cluster_name_prefix) == ("", "clusternet-cluster")
    assert (settings.cluster_type, settings.sync_mode) == ("StandardCluster", "Pull")
    assert (settings.collect_frequency, settings.update_frequency) == (20, 180)
    assert (settings.aggregate_prefixes, settings.aggregate_threshold) == (("node.clusternet.io/",), 0.8)
    assert (settings.qps, settings.burst) == (50, 100)
    assert [settings.app_pusher, settings.insecure_skip_tls_verify, settings.use_metrics_server] == [False] * 3


@pytest.mark.parametrize(
    ("flags", "host"),
    [
        ((), "127.0.0.1"),
        (("--bind-address=10.1.1.1",), "127.0.0.1"),
        (("--predictor-direct-access",), "0.0.0.0"),
        (("--predictor-direct-access", "--bind-address=10.1.1.1"), "10.1.1.1"),
        (("--predictor-direct-access", "--predictor-bind-address=10.2.2.2"), "10.2.2.2"),
    ],
)
def test_the_predictor_listens_as_narrowly_as_those_who_ask_it_allow(flags, host):
    assert parse(*flags).predictor_host == host


def test_health_and_metrics_are_at_the_loopback_address_and_only_health_is_for_everybody():
    parser = arguments.make_agent_parser()

    def serving(*flags):
        return ServingFlags.of(parser.parse_args(flags), parser)

    assert (serving().bind_address, serving().secure_port) == ("127.0.0.1", 10650)
    assert serving().always_allowed == {"/healthz", "/livez", "/readyz"}
    assert serving("--authorization-always-allow-paths=/livez, /metrics").always_allowed == {"/livez", "/metrics"}
    assert serving("--authorization-always-allow-paths=").always_allowed == frozenset()


def test_push_with_its_gate_is_accepted():
    assert parse("--cluster-sync-mode=Push", "--feature-gates=AppPusher=true").sync_mode == "Push"


def test_prefixes_may_be_repeated():
    settings = parse("--labels-aggregate-prefix=a/", "--labels-aggregate-prefix=b/")
    assert settings.aggregate_prefixes == ("a/", "b/")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--cluster-reg-name=" + "a" * 31], "--cluster-reg-name: .* at most 30"),
        (["--cluster-reg-name-prefix=" + "a" * 25], "--cluster-reg-name-prefix: .*"),
        (["--cluster-sync-mode=Push"], "--cluster-sync-mode: Push needs --feature-gates=AppPusher=true"),
        (["--authorization-always-allow-paths=/apis"], "--authorization-always-allow-paths: /apis is not one of"),
        (["--cluster-sync-mode=Both"], "--cluster-sync-mode: invalid choice"),
        (["--cluster-reg-type=Moon"], "--cluster-reg-type: invalid choice"),
        (["--cluster-labels=x"], "--cluster-labels: 'x' is not of the form key=value"),
        (["--cluster-status-update-frequency=3"], "--cluster-status-update-frequency"),
        (["--cluster-status-collect-frequency=0s"], "--cluster-status-collect-frequency"),
        (["--feature-gates=Nonsense=true"], "unknown feature gate"),
        (["--leader-elect=false"], "--leader-elect: must be true"),
        (["--no-such-flag=1"], "unrecognized arguments: --no-such-flag=1"),
    ],
)
def test_wrong_flags_are_named_before_anything_runs(flags, message, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(flags)
    assert end.value.code == 2
    assert re.search(message, capsys.readouterr().err)


def test_a_malformed_token_is_not_shown(capsys):
    with pytest.raises(SystemExit):
        cli.main(["--cluster-reg-token=hunter2"])
    assert "hunter2" not in capsys.readouterr().err
