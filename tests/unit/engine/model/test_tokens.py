"""Tokens that expire, and when they are renewed."""

import base64
import json

import pytest
from clusternet_engine.model.tokens import Token, read_token
from hypothesis import given
from hypothesis import strategies as st

CLAIMS = {
    "iat": 1000,
    "exp": 4600,
    "kubernetes.io": {"namespace": "ns", "serviceaccount": {"name": "one", "uid": "u"}},
    "sub": "system:serviceaccount:ns:one",
}
TOKEN = Token("ns", "one", "u", 1000.0, 3600.0)


def text(claims):
    return f"head.{base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.signature"


def test_a_token_tells_of_itself():
    assert read_token(text(CLAIMS)) == TOKEN


@pytest.mark.parametrize("missing", ["iat", "exp", "kubernetes.io"])
def test_what_never_expires_or_is_no_account_s_is_not_renewed(missing):
    assert read_token(text({key: value for key, value in CLAIMS.items() if key != missing})) is None


@pytest.mark.parametrize("other", ["", "a", "a.b", "a.!.c", "abcdef.0123456789abcdef", text([]), text({"exp": "x"})])
def test_other_texts(other):
    assert read_token(other) is None


def test_a_token_without_a_life():
    assert read_token(text(CLAIMS | {"exp": 1000})) is None


@given(st.text())
def test_any_text_can_be_read(other):
    assert read_token(other) is None or other.count(".") >= 1


@pytest.mark.parametrize(
    ("received", "now", "pause"),
    [
        (5000, 5000, 2880),  # fresh: by this host's clock alone, whatever the API server's says
        (5000, 7880, 0),
        (None, 1000, 2880),  # stored: by both clocks
        (None, 2000, 1880),
        (None, 990, 2890),  # a clock that is a little behind
        (None, 500, 0),  # a clock that can't be right
        (None, 9000, -5120),
    ],
)
def test_a_token_is_renewed_when_most_of_its_life_is_over(received, now, pause):
    assert TOKEN.renewal(received, now, 0.8) == pause


@given(st.floats(0, 1e9), st.floats(0, 1e9), st.floats(0.1, 1))
def test_a_fresh_token_is_never_renewed_at_once_nor_after_its_end(received, elapsed, share):
    pause = TOKEN.renewal(received, received + elapsed, share)
    assert (pause > 0) is (elapsed < 3600 * share - 1e-6) or abs(elapsed - 3600 * share) < 1e-3
    assert pause <= 3600
