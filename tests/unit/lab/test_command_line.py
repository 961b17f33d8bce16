"""What the commands refuse, in one line."""

from pathlib import Path

import pytest
from clusternet_lab.cli import main
from clusternet_lab.errors import LabError
from clusternet_lab.files import locked
from clusternet_lab.lab import _State


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CLUSTERNET_LAB_HOME", str(tmp_path / "labs"))
    return tmp_path / "labs"


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("up --name UPPER", "'UPPER' is no name for a lab"),
        ("up --name ../x", "'../x' is no name for a lab"),
        ("status --name none", "there is no lab none"),
        ("down --name none", "there is no lab none"),
        ("kubectl --name none parent get nodes", "there is no lab none"),
    ],
)
def test_errors_are_one_line(command: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command.split()) == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert message in output.err
    assert output.err.count("\n") == 1


@pytest.mark.parametrize("command", ["up --children 0", "up --nodes -1", "up --nodes many", "fly", ""])
def test_senseless_commands_are_refused(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main(command.split())
    assert refused.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_a_damaged_lab_says_which_file(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "broken").mkdir(parents=True)
    (home / "broken" / "lab.json").write_text('{"children": 1')
    assert main(["status", "--name", "broken"]) == 1
    assert f"{home / 'broken' / 'lab.json'} is damaged" in capsys.readouterr().err


def test_a_lab_grows_but_does_not_shrink() -> None:
    state = _State(children=2, nodes=0, audit=False)
    state.grow("one", 3, 2, audit=False)
    assert (state.children, state.nodes) == (3, 2)
    assert state.cluster_names() == ["parent", "child1", "child2", "child3"]
    for wish in ({"children": 2, "nodes": None, "audit": False}, {"children": None, "nodes": 1, "audit": False}):
        with pytest.raises(LabError, match="can only grow"):
            state.grow("one", **wish)  # type: ignore[arg-type]
    with pytest.raises(LabError, match="without audit"):
        state.grow("one", None, None, audit=True)


def test_two_commands_do_not_work_on_one_lab(tmp_path: Path) -> None:
    with (
        locked(tmp_path, timeout=0, busy="busy"),
        pytest.raises(LabError, match="another command"),
        locked(tmp_path, timeout=0.1, busy="another command"),
    ):
        pass
