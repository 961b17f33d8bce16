"""Judges the arguments of a hub or an agent before there is one, by the parsers of the programs themselves.

The roles ask this on the control node, where only the wheel is: `python -c "…main()"` with the wheel in `sys.path`. So
nothing here, and nothing that it imports, needs more than the standard library.

Each setting is judged alone, so that all that are wrong are told at once; if none is, all together, since some
contradict each other. A message names the variables of the role, not the flags, which the user has never seen.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from clusternet_engine.agent.arguments import make_agent_parser
from clusternet_engine.agent.arguments import parse as parse_agent
from clusternet_engine.hub.arguments import make_hub_parser
from clusternet_engine.hub.arguments import parse as parse_hub

_FLAG_PREFIX = re.compile(r"argument (--[a-z-]+): ")


@dataclass(frozen=True, slots=True)
class Setting:
    """A flag as a role sets it.

    Attributes:
        flag: such as `--secure-port`.
        variable: of the role.
        values: one, or the items of a list that commas separate.
        is_list: whether it is such a list.
    """

    flag: str
    variable: str
    values: tuple[str, ...]
    is_list: bool

    @classmethod
    def of(cls, item: dict[str, Any]) -> Setting:
        """Return a setting with a `value`, or with `items`."""
        is_list = "items" in item
        values = item["items"] if is_list else [item["value"]]
        return cls(item["flag"], item["variable"], tuple(map(str, values)), is_list)

    @property
    def argument(self) -> str:
        """The whole argument."""
        return f"{self.flag}={','.join(self.values)}"


class _Refused(Exception):
    """A parser refuses arguments."""


def refusals(program: str, settings: Sequence[Setting], variable: str, further: Sequence[str]) -> list[str]:
    """Return what is wrong with the arguments of a program, one sentence each.

    Args:
        program: `hub` or `agent`.
        settings: that the role's variables make.
        variable: that holds further arguments.
        further: those arguments.
    """
    make, parse = (make_hub_parser, parse_hub) if program == "hub" else (make_agent_parser, parse_agent)
    parser = make()
    parser.error = _refuse  # type: ignore[method-assign]
    found = [f"{setting.variable}: {problem}" for setting in settings for problem in _problems_of(parser, setting)]
    if problem := _problem(parser.parse_args, further):
        found.append(f"{variable}: {problem}")
    every = [*(setting.argument for setting in settings), *further]
    if not found and (problem := _problem(lambda arguments: parse(parser, arguments), every)):
        found.append(_in_words_of_the_role(problem, settings))
    return [text if text.endswith(".") else f"{text}." for text in found]


def main() -> None:
    """Read a question from standard input, as JSON, and answer with the list of what is wrong."""
    question = json.load(sys.stdin)
    settings = [Setting.of(item) for item in question["settings"]]
    json.dump(refusals(question["program"], settings, question["variable"], question["further"]), sys.stdout)


def _refuse(message: str) -> NoReturn:
    raise _Refused(message)


def _problems_of(parser: argparse.ArgumentParser, setting: Setting) -> Iterator[str]:
    for value in setting.values:
        if setting.is_list and "," in value:
            yield f"{value!r} has a comma in it, which separates values"
        elif problem := _problem(parser.parse_args, [f"{setting.flag}={value}"]):
            yield _FLAG_PREFIX.sub("", problem, count=1)


def _problem(read: Callable[[Sequence[str]], object], arguments: Sequence[str]) -> str:
    """Return why arguments can't be read, empty if they can."""
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            read(arguments)
    except _Refused as refused:
        return str(refused)
    except SystemExit:
        return "the program would only show something and end"
    return ""


def _in_words_of_the_role(problem: str, settings: Sequence[Setting]) -> str:
    """Return a message with the names of variables in the places of their flags."""
    variables = {setting.flag: setting.variable for setting in settings}
    return re.sub(
        r"--[a-z-]+", lambda found: variables.get(found[0], found[0]), _FLAG_PREFIX.sub(r"\1: ", problem, count=1)
    )
