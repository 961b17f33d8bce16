from argparse import ArgumentTypeError

import pytest
from clusternet_engine.agent import settings
from hypothesis import given
from hypothesis import strategies as st

DNS_LABEL = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?", fullmatch=True)


@given(DNS_LABEL)
def test_a_valid_name_is_kept(name):
    assert settings.cluster_name(name) == name


def test_blanks_around_a_name_are_removed():
    assert settings.cluster_name("  child1 ") == "child1"


def test_an_empty_name_means_a_generated_one():
    assert settings.cluster_name("") == ""


def test_a_name_of_30_characters_is_the_longest():
    assert settings.cluster_name("a" * 30) == "a" * 30
    with pytest.raises(ArgumentTypeError, match="has 31 characters; a cluster name may have at most 30"):
        settings.cluster_name("a" * 31)


@pytest.mark.parametrize("name", ["UPPER-a", "-a", "a-", "a.b", "a_b", "ä"])
def test_a_name_that_cannot_be_an_object_name_is_refused(name):
    with pytest.raises(ArgumentTypeError, match="lower-case"):
        settings.cluster_name(name)


def test_a_prefix_leaves_room_for_the_random_characters():
    assert settings.cluster_name_prefix("p" * 24) == "p" * 24
    with pytest.raises(ArgumentTypeError, match="at most 24"):
        settings.cluster_name_prefix("p" * 25)


def test_a_prefix_cannot_be_empty():
    with pytest.raises(ArgumentTypeError):
        settings.cluster_name_prefix("")


def test_namespaces_may_have_63_characters():
    assert settings.cluster_namespace("n" * 63) == "n" * 63
    with pytest.raises(ArgumentTypeError, match="at most 63"):
        settings.cluster_namespace("n" * 64)


def test_labels_are_parsed():
    assert settings.cluster_labels("env=prod, region = eu-1,example.com/x=,") == {
        "env": "prod",
        "region": "eu-1",
        "example.com/x": "",
    }


def test_no_labels():
    assert settings.cluster_labels("") == {}


@pytest.mark.parametrize("text", ["env", "a=b=c", "=v", "a b=c", "a=b c", "/x=y", "Ex_ample/x=y", f"a={'v' * 64}"])
def test_a_malformed_label_is_named(text):
    with pytest.raises(ArgumentTypeError):
        settings.cluster_labels(text)


@pytest.mark.parametrize(
    "url", ["https://10.0.0.1:6443", "https://parent.example/", "https://[::1]:6443/k8s/clusters/x"]
)
def test_the_url_is_kept_byte_for_byte(url):
    assert settings.parent_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "parent:6443",
        "http://parent",
        "https://",
        "https://u:p@parent",
        "https://p?x=1",
        " https://p",
        "https://p:x",
    ],
)
def test_a_url_that_is_not_absolute_and_bare_is_refused(url):
    with pytest.raises(ArgumentTypeError, match="must be absolute"):
        settings.parent_url(url)


@pytest.mark.parametrize("token", ["07401b.f395accd246ae52d", "eyJhbGciOi.eyJpc3MiOiJr.c2ln-_8"])
def test_bootstrap_and_service_account_tokens_are_accepted(token):
    assert settings.registration_token(token) == token


@given(st.text().filter(lambda text: text.count(".") not in (1, 2)))
def test_a_malformed_token_is_refused_without_showing_it(token):
    with pytest.raises(ArgumentTypeError) as refusal:
        settings.registration_token(f"%{token}%secret")
    assert "%secret" not in str(refusal.value)


@pytest.mark.parametrize("text", ["0", "0.8", "1"])
def test_a_share_is_between_0_and_1(text):
    assert settings.share(text) == float(text)


@pytest.mark.parametrize("text", ["-0.1", "1.1", "nan", "much", ""])
def test_other_shares_are_refused(text):
    with pytest.raises(ArgumentTypeError, match="from 0 to 1"):
        settings.share(text)


def test_a_file_must_be_readable(tmp_path):
    with pytest.raises(ArgumentTypeError, match="No such file"):
        settings.readable_file(str(tmp_path / "ca.crt"))
