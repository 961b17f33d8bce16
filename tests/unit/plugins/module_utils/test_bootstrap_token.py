"""Tokens survive their Secret, and are used again just when they serve the same purpose long enough."""

from datetime import UTC, datetime, timedelta

from ansible_collections.clusternet.core.plugins.module_utils import bootstrap_token, validate
from hypothesis import given
from hypothesis import strategies as st

GROUP = "system:bootstrappers:clusternet:register-cluster-token"
MOMENTS = st.datetimes(timezones=st.just(UTC), min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1)).map(
    lambda moment: moment.replace(microsecond=0)
)
TOKENS = st.builds(
    bootstrap_token.Token,
    id=st.from_regex(r"[a-z0-9]{6}", fullmatch=True),
    secret=st.from_regex(r"[a-z0-9]{16}", fullmatch=True),
    description=st.sampled_from(["one", "other"]),
    expires_at=st.none() | MOMENTS,
    groups=st.sampled_from([(GROUP,), ("system:bootstrappers:x",), (GROUP, "system:bootstrappers:x"), ()]),
    authenticates=st.just(True),
)


@given(TOKENS)
def test_a_token_is_read_back_from_its_secret(token):
    assert bootstrap_token.token_of(bootstrap_token.secret_of(token)) == token


@given(st.dictionaries(st.sampled_from(["token-id", "token-secret", "expiration"]), st.text(max_size=8)))
def test_any_secret_is_read_without_an_error(data):
    token = bootstrap_token.token_of({"data": data})
    assert token is None or token.id


@given(st.lists(TOKENS))
def test_only_tokens_of_the_purpose_count_and_the_longest_valid_comes_first(tokens):
    found = bootstrap_token.same_purpose(tokens, "one")
    assert all(GROUP in token.groups and token.description == "one" for token in found)
    assert len(found) == sum(GROUP in token.groups and token.description == "one" for token in tokens)
    if found and any(token.expires_at is None for token in found):
        assert found[0].expires_at is None


def test_generated_tokens_are_well_formed_and_differ():
    made = {".".join(bootstrap_token.generate()) for _index in range(50)}
    assert len(made) == 50
    assert all(validate.bootstrap_token("token", token) for token in made)


@given(st.timedeltas(timedelta(0), timedelta(days=9)), st.timedeltas(timedelta(0), timedelta(days=9)))
def test_a_token_just_made_can_be_used_again(minimum, ttl):
    required = bootstrap_token.required_validity(minimum, ttl)
    assert not ttl or required <= ttl / 2
    assert required <= minimum
