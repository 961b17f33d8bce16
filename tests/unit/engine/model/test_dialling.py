"""Where an agent lets the hub connect to."""

import pytest
from clusternet_engine.model.dialling import Destinations, join_address, parse_destination, split_address
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("entry", "host", "port", "allowed"),
    [
        ("prometheus.monitoring.svc", "prometheus.monitoring.svc", 9090, True),
        ("prometheus.monitoring.svc", "Prometheus.Monitoring.svc", 9090, True),
        ("Prometheus.monitoring.svc", "prometheus.monitoring.svc", 9090, True),
        ("prometheus.monitoring.svc:9090", "prometheus.monitoring.svc", 9091, False),
        ("prometheus.monitoring.svc", "evil-rometheus.monitoring.svc", 9090, False),
        ("*.svc", "a.b.svc", 1, True),
        ("*.svc", "svc", 1, False),
        ("*.svc", "a.xsvc", 1, False),
        ("*", "anything", 1, True),
        ("*:443", "anything", 1, False),
        ("*:443", "anything", 443, True),
        ("10.0.0.0/8", "10.1.2.3", 1, False),  # names are never networks; addresses are asked about below
    ],
)
def test_names(entry, host, port, allowed):
    assert Destinations([], [parse_destination(entry)]).has_name(host, port) is allowed


@pytest.mark.parametrize(
    ("entry", "address", "port", "allowed"),
    [
        ("10.0.0.0/8", "10.1.2.3", 1, True),
        ("10.0.0.1/8", "10.1.2.3", 1, True),
        ("10.0.0.0/8", "11.1.2.3", 1, False),
        ("10.0.0.0/8", "::1", 1, False),
        ("10.0.0.0/8:443", "10.1.2.3", 443, True),
        ("10.0.0.1/8:443", "10.1.2.3", 443, True),
        ("10.0.0.0/8:443", "10.1.2.3", 80, False),
        ("10.1.2.3", "10.1.2.3", 80, True),
        ("10.1.2.3:80", "10.1.2.3", 81, False),
        ("fd00::/8", "fd00::1", 1, True),
        ("fd00::1", "fd00::1", 1, True),
        ("[fd00::1]", "fd00::1", 1, True),
        ("[fd00::/8]:443", "fd00::1", 443, True),
        ("[fd00::/8]:443", "fd00::1", 80, False),
        ("*", "10.1.2.3", 1, True),
        ("example.org", "10.1.2.3", 1, False),
    ],
)
def test_addresses(entry, address, port, allowed):
    assert Destinations([], [parse_destination(entry)]).has_address(address, port) is allowed


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("https://kubernetes.default.svc", "kubernetes.default.svc", 443),
        ("http://api:8080/prefix", "api", 8080),
        ("http://api", "api", 80),
    ],
)
def test_the_api_server_is_always_allowed_and_only_its_port(url, host, port):
    destinations = Destinations([url], [])
    assert destinations.has_name(host, port)
    assert not destinations.has_name(host, port + 1)
    assert not destinations.has_name("169.254.169.254", port)


def test_an_api_server_with_an_ip_address():
    destinations = Destinations(["https://10.96.0.1:6443"], [])
    assert destinations.has_address("10.96.0.1", 6443)
    assert not destinations.has_address("10.96.0.1", 443)
    assert not destinations.has_address("10.96.0.2", 6443)


@pytest.mark.parametrize(
    "text", ["", "a b", "*.", "*.*", "a:0", "a:65536", "a:x", "a/8", "[a", "x:1:2", "-a", "http://a"]
)
def test_what_is_no_destination(text):
    with pytest.raises(ValueError, match=r"neither a host|host:port|brackets"):
        parse_destination(text)


@pytest.mark.parametrize("address", ["", "a", ":1", "a:", "a:b", "a:0", "a:65536", "::1:80", "[::1:80", "[]:80", "a:٣"])
def test_what_is_no_address(address):
    with pytest.raises(ValueError, match=r"host:port|brackets"):
        split_address(address)


@given(st.sampled_from(["a", "a.b", "10.0.0.1", "::1", "fd00::1"]), st.integers(1, 65535))
def test_joined_and_split(host, port):
    assert split_address(join_address(host, port)) == (host, port)
