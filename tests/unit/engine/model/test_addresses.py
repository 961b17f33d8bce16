"""Which addresses are connected to because of what others wrote."""

import ipaddress

import pytest
from clusternet_engine.model.addresses import (
    api_server_url,
    is_special,
    parse_destinations,
    parse_networks,
    push_rule,
    repository_rule,
)
from hypothesis import given
from hypothesis import strategies as st

SPECIAL = [
    "127.0.0.1",
    "127.255.0.9",
    "0.0.0.0",
    "0.1.2.3",
    "169.254.169.254",
    "224.0.0.1",
    "255.255.255.255",
    "100.100.100.200",
    "::",
    "::1",
    "fe80::1",
    "fe80::1%eth0",
    "ff02::1",
    "fd00:ec2::254",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:0:127.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "::127.0.0.1",
    "2002:7f00:1::",
]
ORDINARY = ["10.1.2.3", "192.168.0.1", "172.16.0.1", "100.64.0.1", "8.8.8.8", "fd12::1", "2001:db8::1", "2a00::1"]
v4 = st.ip_addresses(v=4)
v6 = st.ip_addresses(v=6)


@pytest.mark.parametrize("address", SPECIAL)
def test_special_addresses_need_to_be_named(address):
    assert not repository_rule("hub").allows(address, address, 443)
    everything = parse_destinations("*,0.0.0.0/0,::/0,*.example.com,a.example.com")
    for rule in (push_rule(everything), repository_rule("hub", everything)):
        for host in (address, "a.example.com", "b.example.com"):
            assert not rule.allows(host, address, 443), "neither a name nor everything opens them"


@pytest.mark.parametrize("address", SPECIAL)
def test_special_addresses_can_be_named(address):
    plain = address.partition("%")[0]
    named = ipaddress.ip_address(plain)
    entries = [plain]
    if isinstance(named, ipaddress.IPv6Address) and plain not in ("::", "::1") and not plain.startswith(("f",)):
        entries = ["127.0.0.1", "169.254.169.254"]  # what these lead to
    for rule in (
        push_rule(parse_networks(",".join(entries))),
        repository_rule("hub", parse_networks(",".join(entries))),
    ):
        assert rule.allows(address, address, 443)
    elsewhere = push_rule(parse_networks(f"{'[' + plain + ']' if ':' in plain else plain}:6443"))
    assert not elsewhere.allows(address, address, 443)


@pytest.mark.parametrize("address", ORDINARY)
def test_ordinary_addresses(address):
    assert repository_rule("hub").allows("any.example.com", address, 443), "private registries live there"
    assert not push_rule().allows("any.example.com", address, 443)
    assert push_rule(parse_destinations(address)).allows(address, address, 443)
    assert push_rule(parse_destinations("*")).allows(address, address, 443)
    assert push_rule(parse_destinations("*.example.com")).allows("any.example.com", address, 443)
    assert not push_rule(parse_destinations("*.example.com")).allows("any.example.org", address, 443)


@pytest.mark.parametrize("spelling", ["127.1", "2130706433", "0x7f000001", "0177.0.0.1", "127.0.0.1.", "1.2.3.4.5", ""])
def test_other_spellings_are_no_addresses(spelling):
    assert not push_rule(parse_destinations("*,127.0.0.0/8")).allows(spelling, spelling, 443)


def test_behind_a_proxy_names_are_judged_as_spelled():
    assert repository_rule("hub").allows_name("charts.example.com", 443)
    assert not repository_rule("hub").allows_name("127.0.0.1", 443)
    assert not repository_rule("hub").allows_name("2130706433", 443)
    assert not push_rule(parse_destinations("10.0.0.0/8")).allows_name("child.example.com", 443)
    assert push_rule(parse_destinations("child.example.com:443")).allows_name("child.example.com", 443)


def test_names_among_networks_are_refused():
    assert parse_networks(" 127.0.0.1 , ::1,10.0.0.0/8:443,") == parse_destinations("127.0.0.1,::1,10.0.0.0/8:443")
    with pytest.raises(ValueError, match=r"'localhost' is not an IP address"):
        parse_networks("127.0.0.1,localhost")


@given(v4)
def test_an_address_of_ipv4_is_judged_alike_however_it_is_wrapped(address):
    for prefix in ("::ffff:", "64:ff9b::"):
        wrapped = ipaddress.ip_address(f"{prefix}{address}")
        assert is_special(wrapped) == is_special(address)
        assert repository_rule("hub").allows("x", str(wrapped), 1) == repository_rule("hub").allows(
            "x", str(address), 1
        )


@given(st.one_of(v4, v6))
def test_python_agrees_on_what_leads_to_this_host_or_link(address):
    if address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified:
        assert is_special(address)
        assert not repository_rule("hub").allows("name.example.com", str(address), 443)


@given(st.one_of(v4, v6), st.integers(1, 65535))
def test_nothing_is_pushed_to_unless_it_is_named(address, port):
    assert not push_rule().allows(str(address), str(address), port)
    network = f"[{address}]" if address.version == 6 else str(address)
    if is_special(address) and address.version == 6 and not str(address).startswith("f"):
        return
    rule = push_rule(parse_networks(f"{network}:{port}"))
    assert rule.allows(str(address), str(address), port)
    assert not rule.allows(str(address), str(address), port % 65535 + 1)


@pytest.mark.parametrize(
    "url",
    [
        "https://child.example.com",
        "https://child.example.com:6443",
        "https://10.0.0.1:6443/k8s/clusters/c-x_1",
        "https://[fd00::1]:6443",
        "https://Child.Example.com/",
    ],
)
def test_urls_of_api_servers(url):
    assert api_server_url(url) == url.rstrip("/")


@pytest.mark.parametrize(
    "url",
    [
        "http://child.example.com",
        "https://child.example.com/latest/meta-data?x=",
        "https://child.example.com/#",
        "https://user:word@child.example.com",
        "https://child.example.com\\@evil.example.com",
        "https://child.example.com/a b",
        "https://child.example.com/\r\nX: y",
        "https://child.example.com/%0d%0a",
        "https://child.example.com/../..",
        "https://child.example.com:0",
        "https://child.example.com:99999",
        "https://127.1",
        "https://2130706433",
        "https://[::1",
        "https://[nonsense]",
        "https://under_score",
        "https://",
        "https:///path",
        "gopher://x",
        "",
        f"https://a/{'x' * 3000}",
    ],
)
def test_urls_that_are_none_of_an_api_server(url):
    with pytest.raises(ValueError, match=r"not of the form https://host"):
        api_server_url(url)


@given(st.text())
def test_any_text_is_a_url_of_that_form_or_refused(text):
    for candidate in (text, f"https://{text}"):
        try:
            found = api_server_url(candidate)
        except ValueError:
            continue
        assert found.startswith("https://")
        assert not set(found) & set(" ?#@\\\r\n%")
