"""The flags of the gateway."""

from pathlib import Path

import pytest
from clusternet_engine.gateway.cli import make_gateway_parser
from clusternet_engine.gateway.settings import Account


def test_flags(tmp_path: Path) -> None:
    file = tmp_path / "children"
    parse = make_gateway_parser().parse_args
    given = parse([f"--write-kubeconfig={file}"])
    assert (given.write_kubeconfig, given.bind_port, given.idle_timeout) == (file, 0, None)
    assert (given.names, given.label_selector, given.namespace, given.service_account) == (
        frozenset(),
        None,
        None,
        None,
    )
    more = ("--names=a,b.c", "--namespace=ns", "--service-account=team/viewer", "--idle-timeout=1m", "--bind-port=8443")
    given = parse([f"--write-kubeconfig={file}", *more])
    assert (given.names, given.namespace) == (frozenset({"a", "b.c"}), "ns")
    assert given.service_account == Account("team", "viewer")
    assert (given.idle_timeout, given.bind_port) == (60, 8443)


@pytest.mark.parametrize(
    "flag",
    [
        "--names=Upper",
        "--namespace=a/b",
        "--service-account=viewer",
        "--service-account=team/",
        "--idle-timeout=0s",
        "--bind-port=70000",
        "--write-kubeconfig=/nonexistent/children",
    ],
)
def test_flags_that_are_refused(flag: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        make_gateway_parser().parse_args([f"--write-kubeconfig={tmp_path}/children", flag])
    assert ended.value.code == 2
    assert f"argument {flag.partition('=')[0]}" in capsys.readouterr().err
