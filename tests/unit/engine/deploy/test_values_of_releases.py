"""Values of HelmReleases are read, or refused by what is wrong with them."""

import base64

import pytest
from clusternet_engine.deploy.releases import _BadValues, _values


def test_values_are_yaml_or_json_in_base64():
    for text in (b"a: {b: 1}", b'{"a": {"b": 1}}'):
        assert _values(base64.b64encode(text).decode()) == {"a": {"b": 1}}
    assert _values(None) == _values("") == _values("IA==") == {}


@pytest.mark.parametrize(("text", "why"), [("ü", "base64"), ("%%%", "base64"), ("W10=", "mapping"), ("e30}", "base64")])
def test_other_values_are_refused(text, why):
    with pytest.raises(_BadValues, match=why):
        _values(text)
