"""Which namespaces may publish to which clusters."""

import pytest
from clusternet_engine.model.publishers import Publishers, parse_publisher
from hypothesis import given
from hypothesis import strategies as st

NAMESPACES = st.sampled_from(["team-a", "team-b", "default"])
LABELS = st.dictionaries(st.sampled_from(["region", "tier"]), st.sampled_from(["eu", "us", "gold"]), max_size=2)
SELECTORS = st.sampled_from(["", "region=eu", "region in (eu,us)", "!tier", "tier!=gold"])
ENTRIES = st.lists(st.tuples(st.one_of(NAMESPACES, st.just("*")), SELECTORS), max_size=5)


def publishers(*entries):
    return Publishers.of(map(parse_publisher, entries))


def test_a_namespace_publishes_where_its_selector_says():
    some = publishers("team-a=region in (eu,us)", "platform=")
    assert some.may_publish_to("team-a", {"region": "eu"})
    assert not some.may_publish_to("team-a", {"region": "asia"})
    assert not some.may_publish_to("team-a", None)
    assert some.may_publish_to("platform", {})
    assert not some.may_publish("team-b")
    assert not some.may_publish_to("team-b", {"region": "eu"})


def test_the_star_is_for_those_without_an_entry_of_their_own():
    some = publishers("team-a=tier=gold", "*=tier=test")
    assert some.may_publish_to("team-b", {"tier": "test"})
    assert not some.may_publish_to("team-a", {"tier": "test"})


def test_of_several_selectors_one_is_enough():
    some = publishers("team-a=region=eu", "team-a=region=us")
    assert [some.may_publish_to("team-a", {"region": region}) for region in ("eu", "us", "asia")] == [True, True, False]


@given(namespace=NAMESPACES, labels=LABELS)
def test_without_entries_all_publish_to_all(namespace, labels):
    assert Publishers().may_publish(namespace)
    assert Publishers().may_publish_to(namespace, labels)


@given(entries=ENTRIES, namespace=NAMESPACES, labels=LABELS)
def test_nobody_publishes_to_a_cluster_without_an_entry_that_says_so(entries, namespace, labels):
    some = publishers(*(f"{where}={selector}" for where, selector in entries))
    if some.may_publish_to(namespace, labels):
        assert some.may_publish(namespace)
        assert not entries or any(where in (namespace, "*") for where, _ in entries)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("team-a", "is not NAMESPACE=SELECTOR"),
        ("=region=eu", "is not NAMESPACE=SELECTOR"),
        ("Team A=region=eu", "is not NAMESPACE=SELECTOR"),
        ("team-*=region=eu", "is not NAMESPACE=SELECTOR"),
        ("team-a=region in eu", "is not a label selector"),
        ("team-a=region=eu,", "is not a label selector"),
    ],
)
def test_what_is_no_publisher(text, message):
    with pytest.raises(ValueError, match=message):
        parse_publisher(text)
