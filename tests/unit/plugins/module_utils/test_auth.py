"""Options and environment to connection settings."""

import pytest
from ansible_collections.clusternet.core.plugins.module_utils.auth import (
    AUTH_ARGUMENTS,
    connection_settings,
    strict_bool,
)
from ansible_collections.clusternet.core.plugins.module_utils.errors import ConfigError
from ansible_collections.kubernetes.core.plugins.module_utils.args_common import AUTH_ARG_SPEC
from hypothesis import given
from hypothesis import strategies as st


def test_the_options_are_those_of_kubernetes_core():
    def shape(spec):
        return {name: (option.get("type", "str"), sorted(option.get("aliases", []))) for name, option in spec.items()}

    assert shape(AUTH_ARGUMENTS) == shape(AUTH_ARG_SPEC)
    secret = {name for name, option in AUTH_ARG_SPEC.items() if option.get("no_log")}
    assert {name for name, option in AUTH_ARGUMENTS.items() if option.get("no_log")} == secret


@pytest.mark.parametrize(
    ("option", "variable"),
    [
        ("validate_certs", "K8S_AUTH_VERIFY_SSL"),
        ("validate_certs", "K8S_AUTH_VALIDATE_CERTS"),
        ("ca_cert", "K8S_AUTH_SSL_CA_CERT"),
        ("ca_cert", "K8S_AUTH_CA_CERT"),
        ("client_cert", "K8S_AUTH_CERT_FILE"),
        ("client_cert", "K8S_AUTH_CLIENT_CERT"),
        ("client_key", "K8S_AUTH_KEY_FILE"),
        ("client_key", "K8S_AUTH_CLIENT_KEY"),
        ("host", "K8S_AUTH_HOST"),
        ("api_key", "K8S_AUTH_API_KEY"),
        ("kubeconfig", "K8S_AUTH_KUBECONFIG"),
    ],
)
def test_pain_25_both_spellings_and_empty_is_unset(option, variable):
    text, value = ("false", False) if option == "validate_certs" else ("given", "given")
    assert getattr(connection_settings({}, {variable: text}), option) == value
    assert getattr(connection_settings({option: ""}, {variable: text}), option) == value
    assert getattr(connection_settings({}, {variable: ""}), option) is None


def test_pain_25_an_empty_spelling_does_not_hide_the_other():
    environ = {"K8S_AUTH_VALIDATE_CERTS": "", "K8S_AUTH_VERIFY_SSL": "no"}
    assert connection_settings({}, environ).validate_certs is False


def test_an_option_wins_over_the_environment():
    settings = connection_settings({"host": "https://a", "validate_certs": False}, {"K8S_AUTH_HOST": "https://b"})
    assert (settings.host, settings.validate_certs) == ("https://a", False)
    assert connection_settings({"validate_certs": False}, {"K8S_AUTH_VERIFY_SSL": "true"}).validate_certs is False


@given(st.text())
def test_pain_25_a_boolean_is_read_strictly(text):
    word = text.strip().lower()
    if not word:
        assert strict_bool("x", text) is None
    elif word in ("true", "yes", "on", "1", "y", "t"):
        assert strict_bool("x", text) is True
    elif word in ("false", "no", "off", "0", "n", "f"):
        assert strict_bool("x", text) is False
    else:
        with pytest.raises(ConfigError) as caught:
            strict_bool("x", text)
        assert caught.value.option == "x"


def test_lists_and_proxy_headers_from_the_environment():
    environ = {"K8S_AUTH_IMPERSONATE_GROUPS": "a, b,", "K8S_AUTH_PROXY_HEADERS_PROXY_BASIC_AUTH": "u:p"}
    settings = connection_settings({}, environ)
    assert settings.impersonate_groups == ("a", "b")
    assert settings.proxy_headers == {"proxy_basic_auth": "u:p"}


def test_empty_groups_are_none():
    environ = {"K8S_AUTH_IMPERSONATE_GROUPS": "a,b"}
    assert connection_settings({"impersonate_groups": ["c", ""]}, environ).impersonate_groups == ("c",)
    assert connection_settings({"impersonate_groups": [""]}, environ).impersonate_groups == ("a", "b")


def test_secrets_do_not_show_in_repr():
    settings = connection_settings({"api_key": "planted", "password": "planted", "kubeconfig": {"x": "planted"}}, {})
    assert "planted" not in repr(settings)
