"""What is quoted from the log of a process that isn't ready."""

import base64
import stat
from pathlib import Path

import pytest
from ansible_collections.clusternet.core.plugins.module_utils import gateway_process
from ansible_collections.clusternet.core.plugins.module_utils.errors import ClusternetError
from ansible_collections.clusternet.core.plugins.module_utils.process_logs import (
    LONGEST_QUOTE,
    last_error,
    quote,
    read_end,
    shown,
)
from hypothesis import given
from hypothesis import strategies as st

INFO = "I1126 10:18:17.123456 clusternet_engine.program] error: handled, all is well"
ERROR = "E1126 10:18:17.123456 clusternet_engine.program] [Errno 98] address already in use"
WARNING = "W1126 10:18:17.123456 clusternet_engine.agent] the parent can't be reached"
TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    ("lines", "found", "kind"),
    [
        ([ERROR, INFO], ERROR, "error"),
        (["old error: x", ERROR, WARNING, INFO, ""], ERROR, "error"),
        ([WARNING, INFO], WARNING, "warning"),
        ([INFO, "stopping"], "stopping", "line"),
        ([], "", ""),
        (["\x1b[0m", " "], "", ""),
        (
            ["usage: clusternet-hub", "clusternet-hub: error: unrecognized arguments: --x", INFO],
            "clusternet-hub: error: unrecognized arguments: --x",
            "error",
        ),
        (
            ["Traceback (most recent call last):", '  File "a.py", line 1', "builtins.KeyError: 'x'", INFO],
            "builtins.KeyError: 'x'",
            "error",
        ),
    ],
)
def test_the_last_error_is_found(lines, found, kind):
    assert last_error("\n".join(lines)) == (found, kind)


@pytest.mark.parametrize(
    ("line", "secret"),
    [
        (f"E] refused {TOKEN}", TOKEN[10:]),
        ("E] the token abcdef.0123456789abcdef has expired", "0123456789abcdef"),
        ("E] Authorization: Bearer s3cret-token", "s3cret"),
        ("E] Authorization: Basic bWU6czNjcmV0", "bWU6"),
        ("E] proxy http://me:s3cret@proxy:3128 refused", "s3cret"),
        ("E] --token=s3cret", "s3cret"),
        ("E] --password s3cret", "s3cret"),
        ("E] {'password': 's3cret'}", "s3cret"),
        ("E] token: s3crets3crets3crets3cret", "s3cret"),
        ("E] https://registry/?token=s3cret&x=1", "s3cret"),
        ("E] client-key-data: czNjcmV0czNjcmV0czNjcmV0", "czNj"),
        (base64.b64encode(b"s3cret" * 10).decode(), "czNj"),
    ],
)
def test_secrets_are_hidden(line, secret):
    assert secret not in shown(line)
    assert "***" in shown(line)


def test_a_sentence_about_tokens_stays_whole():
    line = "the parent does not know the registration token: it is wrong, has expired or was deleted (id abcdef)"
    assert shown(line) == line
    assert shown("cannot read /var/lib/clusternet/" + "folder/" * 12 + "token").endswith("/token")


@given(st.text())
def test_a_quote_is_one_short_printable_line(text):
    line, _kind = last_error(text)
    assert len(line) <= LONGEST_QUOTE
    assert line.isprintable()


def test_a_quote_says_where_the_whole_log_is():
    assert quote(ERROR, "/x.log") == f'The last error in its log is "{ERROR}". The whole log: /x.log'
    assert quote(INFO, "/x.log") == f'The last line of its log is "{INFO}". The whole log: /x.log'
    assert quote("", "/x.log") == "Its log is empty: /x.log"


def test_the_end_of_a_file_begins_with_a_whole_line(tmp_path):
    log = tmp_path / "log"
    log.write_text(f"token: {TOKEN * 5000}\nlast\n")
    assert read_end(str(log)) == "last\n"
    log.write_text("old\nnew\n")
    assert read_end(str(log), 4) == "new\n"
    assert read_end(str(log), 400) == "old\nnew\n"
    assert read_end(str(tmp_path / "nowhere")) == ""


@pytest.mark.parametrize(("end", "says"), [("exit 3", "ended with code 3"), ("exec sleep 60", "doesn't answer within")])
def test_a_gateway_that_does_not_start_is_quoted(tmp_path: Path, monkeypatch, end: str, says: str) -> None:
    monkeypatch.setattr(gateway_process, "_START_SECONDS", 1)
    program = tmp_path / "gateway"
    program.write_text(f"#!/bin/sh\necho '{ERROR} {TOKEN}'\necho '{INFO}'\n{end}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    process = gateway_process.GatewayProcess(str(tmp_path / "children"))
    with pytest.raises(ClusternetError) as caught:
        process.start([str(program)], "{}", [])
    assert says in caught.value.msg
    assert caught.value.msg.endswith(f'The last error in its log is "{ERROR} ***". The whole log: {process.log}')


def test_a_long_line_is_read_in_time_that_grows_with_its_length():
    """Names with dashes once took time by the square of the length: minutes for what is read of a log."""
    assert last_error("a-" * 32_000 + "data: x")[0].endswith("…")
