"""The configuration of supervisord says exactly what was asked for."""

import configparser
import shlex

import pytest
from ansible_collections.clusternet.core.plugins.module_utils.supervisor_config import (
    SOCKET_PATH_MAX,
    Files,
    join_command,
    problem,
    render,
)
from hypothesis import given
from hypothesis import strategies as st

arguments = st.lists(
    st.text(st.characters(min_codepoint=32, exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1), min_size=1
)


def parse(text: str) -> configparser.RawConfigParser:
    """Read as supervisord does: comments may begin inside a line, values know Python's % formatting."""
    parser = configparser.RawConfigParser(inline_comment_prefixes=(";", "#"), strict=False)
    parser.read_string(text)
    return parser


@given(arguments, st.text())
def test_supervisord_gets_the_same_arguments(command: list[str], revision: str) -> None:
    files = Files("/srv/agent", "agent", "/short")
    config = parse(render("agent", files, command, revision))
    assert shlex.split(config.get("program:agent", "command") % {}) == command


@given(arguments)
def test_the_joined_command_splits_back(command: list[str]) -> None:
    assert shlex.split(join_command(command)) == command


@given(st.text(), st.text())
def test_another_revision_is_another_configuration(one: str, other: str) -> None:
    files = Files("/srv/agent", "agent", "/short")
    rendered = [render("agent", files, ["/bin/true"], revision) for revision in (one, other)]
    assert (rendered[0] == rendered[1]) == (one == other)


@given(st.integers(1, 300))
def test_the_socket_always_fits(length: int) -> None:
    files = Files("/" + "d" * length, "agent", "/run/short")
    assert len(files.socket) <= SOCKET_PATH_MAX
    assert files.socket.startswith("/run/short/") == (len(f"/{'d' * length}/agent.sock") > SOCKET_PATH_MAX)


def test_two_long_folders_have_two_sockets() -> None:
    sockets = {Files("/" + letter * 200, "agent", "/run/short").socket for letter in "ab"}
    assert len(sockets) == 2


@pytest.mark.parametrize(
    ("name", "directory", "command", "option"),
    [
        ("../agent", "/srv", ["/bin/true"], "name"),
        ("", "/srv", ["/bin/true"], "name"),
        ("agent", "srv", ["/bin/true"], "directory"),
        ("agent", "/srv/a ;b", ["/bin/true"], "directory"),
        ("agent", "/srv\n[x]", ["/bin/true"], "directory"),
        ("agent", "/srv", ["/bin/true", "one\ntwo"], "command"),
    ],
)
def test_what_the_format_cannot_carry_is_refused_by_option(
    name: str, directory: str, command: list[str], option: str
) -> None:
    found = problem(name, directory, command)
    assert found is not None
    assert found[0] == option


def test_ordinary_values_are_fine() -> None:
    assert problem("clusternet-agent-child1.example", "/srv/my agent", ["/bin/sh", "-c", "a;b #c"]) is None
