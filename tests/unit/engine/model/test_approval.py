"""Which clusters may register, and which labels they get."""

import json

import pytest
from clusternet_engine.model.approval import Mode, Rule, is_approved, kept_labels, parse_rules
from hypothesis import given
from hypothesis import strategies as st

TOKEN = "system:bootstrap:abcdef"


def request(name="edge-1", namespace=None, labels=None, registrant=TOKEN, **status):
    spec = {"clusterName": name}
    if namespace:
        spec["clusterNamespace"] = namespace
    if labels:
        spec["clusterLabels"] = labels
    annotations = {"clusternet.io/registrant": registrant} if registrant else {}
    return {"metadata": {"name": "clusternet-x", "annotations": annotations}, "spec": spec, "status": status}


@pytest.mark.parametrize(
    ("rule", "asks", "allowed"),
    [
        ({"names": ["edge-*"]}, {}, True),
        ({"names": ["edge-?"]}, {"name": "edge-12"}, False),
        ({"names": ["a", "edge-1"]}, {}, True),
        ({"names": ["EDGE-*"]}, {}, False),
        ({"namespaces": ["fleet-*"]}, {}, False),
        ({"namespaces": ["fleet-*"]}, {"namespace": "fleet-1"}, True),
        ({"namespaces": [""]}, {}, True),
        ({"labels": {"env": "prod"}}, {"labels": {"env": "prod", "x": "y"}}, True),
        ({"labels": {"env": "prod"}}, {"labels": {"env": "dev"}}, False),
        ({"labels": {"env": "*"}}, {}, False),
        ({"registrants": ["system:bootstrap:abc*"]}, {}, True),
        ({"registrants": ["system:bootstrap:abc*"]}, {"registrant": None}, False),
        ({"registrants": [TOKEN], "names": ["shop-*"]}, {}, False),
    ],
)
def test_rules(rule, asks, allowed):
    rules = parse_rules(json.dumps([rule]))
    assert is_approved(request(**asks), Mode.RULES, rules) is allowed
    assert is_approved(request(**asks), Mode.MANUAL, rules) is False
    assert is_approved(request(**asks), Mode.AUTO, rules) is True


@pytest.mark.parametrize("mode", list(Mode))
def test_an_approval_stays(mode):
    assert is_approved(request(result="Approved"), mode, ())


def test_one_rule_is_enough_and_none_allows_nobody():
    rules = parse_rules('[{"names": ["a"]}, {"names": ["edge-1"]}]')
    assert is_approved(request(), Mode.RULES, rules)
    assert not is_approved(request(), Mode.RULES, ())


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "not JSON"),
        ("{}", "not a list"),
        ("[1]", "rule 1 is not an object"),
        ('[{"names": ["a"]}, {}]', "rule 2 says nothing"),
        ('[{"names": [], "labels": {}}]', "says nothing"),
        ('[{"name": ["a"]}]', "unknown fields: name"),
        ('[{"names": "a"}]', "names are not a list"),
        ('[{"names": [1]}]', "names are not a list"),
        ('[{"labels": {"a": 1}}]', "labels are not texts"),
        ('[{"labels": ["a"]}]', "labels are not texts"),
    ],
)
def test_rules_that_cannot_be_read(text, problem):
    with pytest.raises(ValueError, match=problem):
        parse_rules(text)


def test_labels_of_clusternet_are_never_kept():
    wished = {"a": "1", "clusternet.io/x": "2", "clusters.clusternet.io/cluster-id": "3", "notclusternet.io/x": "4"}
    assert kept_labels(wished, None) == {"a": "1", "notclusternet.io/x": "4"}
    assert kept_labels(wished, ["*"]) == kept_labels(wished, None)
    assert kept_labels(wished, []) == {}
    assert kept_labels(wished, ["notclusternet.io/*"]) == {"notclusternet.io/x": "4"}


_TEXTS = st.text("ab-*", max_size=4)
_PATTERNS = st.lists(_TEXTS, max_size=3)


@given(
    st.builds(
        Rule,
        names=_PATTERNS.map(tuple),
        namespaces=_PATTERNS.map(tuple),
        labels=st.dictionaries(_TEXTS, _TEXTS, max_size=2),
        registrants=_PATTERNS.map(tuple),
    ),
    st.builds(request, name=_TEXTS, namespace=_TEXTS, labels=st.dictionaries(_TEXTS, _TEXTS), registrant=_TEXTS),
    st.sampled_from(["names", "namespaces", "labels", "registrants"]),
)
def test_saying_less_allows_no_fewer(rule, asks, field):
    """A rule without one of its conditions allows all that it allowed with it."""
    empty = {} if field == "labels" else ()
    wider = Rule(**{name: empty if name == field else getattr(rule, name) for name in Rule.__dataclass_fields__})
    assert wider.allows(asks) or not rule.allows(asks)


@given(st.dictionaries(st.sampled_from(["a", "b", "x.clusternet.io/a", "clusternet.io/b"]), _TEXTS), _PATTERNS)
def test_labels_that_are_kept_were_wished_for(wished, allowed):
    kept = kept_labels(wished, allowed)
    assert kept.items() <= wished.items()
    assert kept_labels(kept, allowed) == kept
    assert not any("clusternet.io/" in key for key in kept)
