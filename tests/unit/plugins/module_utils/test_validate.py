"""Checks of values: what Kubernetes takes passes, what it refuses is refused, naming the option."""

from datetime import UTC, datetime, timedelta

import pytest
from ansible_collections.clusternet.core.plugins.module_utils import validate
from ansible_collections.clusternet.core.plugins.module_utils.errors import ConfigError
from hypothesis import given
from hypothesis import strategies as st

LABELS = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,28}[a-z0-9])?", fullmatch=True)


@given(LABELS)
def test_good_names_pass(name):
    assert validate.cluster_name("names", name) == name
    assert validate.dns_label("names", name) == name
    assert validate.labels("labels", {name: name, f"example.org/{name}": ""}) == {name: name, f"example.org/{name}": ""}


def outcome(check, text):
    """What a check returns, or the error it raises."""
    try:
        return check("my_option", text), None
    except ConfigError as error:
        return None, error


@given(st.text())
def test_any_text_either_passes_unchanged_or_names_the_option(text):
    checks = (
        validate.cluster_name,
        validate.dns_label,
        validate.cluster_id,
        validate.label_key,
        validate.label_selector,
        validate.bootstrap_token,
        validate.token_id,
        validate.duration,
        validate.timestamp,
    )
    for check in checks:
        result, refused = outcome(check, text)
        if refused:
            assert refused.option == "my_option"
            assert refused.msg.startswith("my_option: ")
        else:
            assert result == text or check in (validate.bootstrap_token, validate.duration, validate.timestamp)


@pytest.mark.parametrize("name", ["a" * 31, "-a", "a-", "A", "a.b", "a_b", "", "a\n", "ä"])
def test_bad_cluster_names(name):
    with pytest.raises(ConfigError):
        validate.cluster_name("names", name)


@pytest.mark.parametrize(
    "selector",
    ["a", "!a", "a=b", "a==b", "a!=b", "a in (b,c)", "x.io/a notin (b)", "a=b,c", "a in (b, c),d!=e", "a="],
)
def test_good_selectors(selector):
    assert validate.label_selector("label_selector", selector) == selector


@pytest.mark.parametrize("selector", ["a b", "a in b", "a=b=c", ",a", "a in (b,c", "a=(b)", "=b", "a>1"])
def test_bad_selectors(selector):
    with pytest.raises(ConfigError):
        validate.label_selector("label_selector", selector)


@pytest.mark.parametrize(
    ("text", "length"),
    [("0", 0), ("90s", 90), ("1h30m", 5400), ("7d", 604800), ("24h", 86400), ("1d1h1m1s", 90061)],
)
def test_durations(text, length):
    assert validate.duration("ttl", text) == timedelta(seconds=length)


@given(st.datetimes(timezones=st.just(UTC), min_value=datetime(1000, 1, 1)))
def test_timestamps_are_read_back(moment):
    assert validate.timestamp("expires_at", moment.isoformat()) == moment
    assert validate.timestamp("expires_at", moment.isoformat().replace("+00:00", "Z")) == moment


@given(st.datetimes(timezones=st.just(UTC), min_value=datetime(1000, 1, 1)))
def test_the_past_is_refused(moment):
    with pytest.raises(ConfigError):
        validate.future("expires_at", moment.isoformat(), moment)


def test_a_wrong_token_is_not_repeated():
    with pytest.raises(ConfigError) as caught:
        validate.bootstrap_token("token", "abcdef.secretsecretsecre!")
    assert "secretsecret" not in str(caught.value.failure)
