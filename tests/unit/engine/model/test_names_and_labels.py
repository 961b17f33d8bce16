"""Names, labels, selectors, feature gates, times."""

from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest
from clusternet_engine.model import features
from clusternet_engine.model.constants import RANDOM_ALPHABET
from clusternet_engine.model.labels import aggregate_labels, aggregated_labels_patch, is_label_key, is_label_value
from clusternet_engine.model.names import cluster_object_name, derived_names, is_dns_label, is_dns_subdomain
from clusternet_engine.model.selectors import parse_selector, selector_of
from clusternet_engine.model.times import format_time, parse_time
from hypothesis import given
from hypothesis import strategies as st

PREFIX = "node.clusternet.io/"


@given(st.text())
def test_derived_names_are_names_and_always_the_same(identity):
    first = list(islice(derived_names(identity), 20))
    assert first == list(islice(derived_names(identity), 20))
    assert len(set(first)) > 15
    for name in first:
        assert is_dns_label(name)
        prefix, suffix = name[:11], name[11:]
        assert prefix == "clusternet-"
        assert len(suffix) == 5
        assert set(suffix) <= set(RANDOM_ALPHABET)


def test_cluster_object_name():
    assert cluster_object_name("x-1") == "clusternet-x-1"


@pytest.mark.parametrize("text", ["a", "a-b", "0", "a" * 63])
def test_dns_labels(text):
    assert is_dns_label(text)


@pytest.mark.parametrize("text", ["", "-a", "a-", "A", "a.b", "a_b", "a" * 64, "a\n"])
def test_no_dns_labels(text):
    assert not is_dns_label(text)


@pytest.mark.parametrize("text", ["a", "a.b-c.d", "a" * 63 + "." + "b" * 63])
def test_dns_subdomains(text):
    assert is_dns_subdomain(text)


@pytest.mark.parametrize("text", ["", ".", "a.", ".a", "a..b", "A.b", "a." * 127 + "a"])
def test_no_dns_subdomains(text):
    assert not is_dns_subdomain(text)


@pytest.mark.parametrize("text", ["a", "A.b_c-d", "x.io/a", "a.b.c/D"])
def test_label_keys(text):
    assert is_label_key(text)


@pytest.mark.parametrize("text", ["", "/a", "a/", "a b", "X/a", "a/b/c", "-a", "a" * 64])
def test_no_label_keys(text):
    assert not is_label_key(text)


def test_label_values():
    assert all(map(is_label_value, ["", "a", "A.b_c-d", "a" * 63]))
    assert not any(map(is_label_value, ["-a", "a-", "a b", "a/b", "a" * 64, "ä"]))


def node_with(value, *, role=None):
    labels = {PREFIX + "zone": value, "other": value} | ({f"node-role.kubernetes.io/{role}": ""} if role else {})
    return {"metadata": {"labels": labels}}


@pytest.mark.parametrize(
    ("nodes", "threshold", "wanted"),
    [
        ([], 0.8, {}),
        ([{"metadata": {}}], 0.0, {}),
        ([node_with("a")], 0.8, {PREFIX + "zone": "a"}),
        ([node_with("a")] * 4 + [node_with("b")], 0.8, {PREFIX + "zone": "a"}),
        ([node_with("a")] * 3 + [node_with("b")], 0.8, {}),
        ([node_with("a")] * 3 + [{"metadata": {"labels": {}}}], 0.8, {}),
        ([node_with("b"), node_with("a")], 0.5, {PREFIX + "zone": "a"}),
        (
            [node_with("a"), node_with("b", role="master"), node_with("b", role="control-plane")],
            0.8,
            {PREFIX + "zone": "a"},
        ),
        ([node_with("a", role="control-plane")], 0.0, {}),
    ],
)
def test_aggregation(nodes, threshold, wanted):
    assert aggregate_labels(nodes, (PREFIX,), threshold) == wanted


LABELS = st.dictionaries(st.sampled_from([PREFIX + "a", PREFIX + "b", "c", "d"]), st.sampled_from("xyz"))


@given(st.lists(LABELS), st.floats(0.01, 1), st.randoms())
def test_aggregation_keeps_its_promise_in_any_order(labels, threshold, chance):
    nodes = [{"metadata": {"labels": each}} for each in labels]
    aggregated = aggregate_labels(nodes, (PREFIX,), threshold)
    for key, value in aggregated.items():
        assert key.startswith(PREFIX)
        assert sum(each.get(key) == value for each in labels) / len(labels) >= threshold
    chance.shuffle(nodes)
    assert aggregate_labels(nodes, (PREFIX,), threshold) == aggregated


@given(LABELS, st.dictionaries(st.sampled_from([PREFIX + "a", PREFIX + "b"]), st.sampled_from("xyz")))
def test_the_patch_leads_to_the_aggregation(current, aggregated):
    patched = dict(current)
    for key, value in aggregated_labels_patch(current, aggregated, (PREFIX,)).items():
        assert patched.get(key) != value or key not in patched
        if value is None:
            del patched[key]
        else:
            patched[key] = value
    assert {key: value for key, value in patched.items() if key.startswith(PREFIX)} == aggregated
    assert {k: v for k, v in patched.items() if not k.startswith(PREFIX)} == {
        k: v for k, v in current.items() if not k.startswith(PREFIX)
    }
    assert aggregated_labels_patch(patched, aggregated, (PREFIX,)) == {}


@pytest.mark.parametrize(
    ("text", "matching", "other"),
    [
        ("", {}, None),
        ("a=b", {"a": "b"}, {"a": "c"}),
        ("a == b", {"a": "b"}, {}),
        ("a!=b", {}, {"a": "b"}),
        ("a in (b, c)", {"a": "c"}, {"a": "d"}),
        ("a notin (b,c)", {"a": "d"}, {"a": "b"}),
        ("a notin (b,c)", {}, {"a": "c"}),
        ("a", {"a": ""}, {"b": ""}),
        ("!a", {"b": ""}, {"a": ""}),
        ("x.io/a=b,!c, d in (e)", {"x.io/a": "b", "d": "e"}, {"x.io/a": "b", "c": "", "d": "e"}),
        ("a=", {"a": ""}, {"a": "b"}),
    ],
)
def test_selectors(text, matching, other):
    selector = parse_selector(text)
    assert selector.matches(matching)
    assert other is None or not selector.matches(other)


@pytest.mark.parametrize(
    "text", ["a=b=c", "a in b", "a,,b", ",a", "a,", "a b", "a in ()x", "=b", "a==!b", "a=b c", "ä=b", "a=-b"]
)
def test_no_selectors(text):
    with pytest.raises(ValueError, match=r"selector|operator|label"):
        parse_selector(text)


def test_selector_objects():
    selector = selector_of(
        {
            "matchLabels": {"a": "b"},
            "matchExpressions": [
                {"key": "c", "operator": "In", "values": ["d", "e"]},
                {"key": "f", "operator": "NotIn", "values": ["g"]},
                {"key": "h", "operator": "Exists"},
                {"key": "i", "operator": "DoesNotExist"},
            ],
        }
    )
    assert selector.matches({"a": "b", "c": "e", "h": ""})
    assert not selector.matches({"a": "b", "c": "e", "h": "", "f": "g"})
    assert not selector.matches(None)
    assert selector_of({}).matches(None)


@pytest.mark.parametrize(
    "expression",
    [
        {"key": "a", "operator": "Near", "values": ["b"]},
        {"key": "a", "operator": "In"},
        {"key": "a", "operator": "Exists", "values": ["b"]},
        {"key": "a b", "operator": "Exists"},
    ],
)
def test_no_selector_objects(expression):
    with pytest.raises(ValueError, match=r"selector|operator|label"):
        selector_of({"matchExpressions": [expression]})


def test_feature_gates():
    assert features.parse_gates("") == {}
    gates = features.parse_gates(" AppPusher=true, Recovery=f,")
    assert gates == {"AppPusher": True, "Recovery": False}
    assert features.enabled(gates, features.APP_PUSHER)
    assert not features.enabled(gates, features.RECOVERY)
    assert not features.enabled(gates, features.CLUSTER_INIT)


@pytest.mark.parametrize(
    ("text", "message"),
    [("AppPusher", "not of the form"), ("Nonsense=true", "unknown feature gate"), ("Recovery=on", "Recovery: 'on'")],
)
def test_wrong_feature_gates(text, message):
    with pytest.raises(ValueError, match=message):
        features.parse_gates(text)


@given(st.datetimes(timezones=st.just(UTC), min_value=datetime(1970, 1, 1), max_value=datetime(2200, 1, 1)))
def test_times(moment):
    written = format_time(moment)
    assert written.endswith("Z")
    parsed = parse_time(written)
    assert parsed is not None
    assert timedelta(0) <= moment - parsed < timedelta(seconds=1)


@pytest.mark.parametrize("text", [None, "", "yesterday", "2026-01-01T00:00:00", 5])
def test_no_times(text):
    assert parse_time(text) is None


def test_times_with_offset_and_fraction():
    assert parse_time("2026-01-01T02:00:00.123456+02:00") == datetime(2026, 1, 1, 0, 0, 0, 123456, UTC)
