"""What a request to `sockets/<id>/proxy/…` asks of a child, and as whom (spec/04 §5, §6)."""

import base64

import pytest
from clusternet_engine.model.proxying import (
    ChildCredential,
    ProxyPath,
    Target,
    child_credential,
    direct_target,
    parse_proxy_path,
    request_headers,
    response_headers,
    upgrade_protocol,
    without_credentials,
)
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("direct", ProxyPath("direct", "", 0, "")),
        ("/direct", ProxyPath("direct", "", 0, "")),
        ("direct/", ProxyPath("direct", "", 0, "/")),
        ("direct/api/v1", ProxyPath("direct", "", 0, "/api/v1")),
        ("direct/api/v1/", ProxyPath("direct", "", 0, "/api/v1/")),
        ("direct//api/./v1//pods", ProxyPath("direct", "", 0, "/api/v1/pods")),
        ("direct/a/b/../c", ProxyPath("direct", "", 0, "/a/c")),
        ("direct/a/../../b", ProxyPath("direct", "", 0, "/b")),
        ("direct/a%2Fb", ProxyPath("direct", "", 0, "/a%2Fb")),
        ("http/prometheus/metrics", ProxyPath("http", "prometheus", 80, "/metrics")),
        ("https/prometheus", ProxyPath("https", "prometheus", 443, "")),
        ("https/10.0.0.1:8443/", ProxyPath("https", "10.0.0.1", 8443, "/")),
        ("https/[fd00::1]/x", ProxyPath("https", "fd00::1", 443, "/x")),
        ("https/%5Bfd00::1%5D:8443/x", ProxyPath("https", "fd00::1", 8443, "/x")),
    ],
)
def test_paths(path, expected):
    assert parse_proxy_path(path) == expected


@pytest.mark.parametrize(
    "path",
    [
        "",
        "ftp/a",
        "http/a..b",
        f"https/{'a' * 64}.b",
        "http",
        "http/",
        "http/a:x/",
        "https/:1",
        "http/a@b/",
        "http/a%2Fb/",
        "http/a%20b",
        "http/[a:1/",
        "http/a]:1/",
    ],
)
def test_paths_that_lead_nowhere(path):
    with pytest.raises(ValueError, match=r"none of|host|brackets"):
        parse_proxy_path(path)


@pytest.mark.parametrize(
    ("url", "target", "api", "root"),
    [
        (
            "https://10.0.0.10:6443/",
            Target("https", "10.0.0.10", 6443),
            "https://10.0.0.10:6443/api?a=b",
            "https://10.0.0.10:6443/",
        ),
        ("https://api", Target("https", "api", 443), "https://api:443/api?a=b", "https://api:443/"),
        (
            "http://api/k8s/c1/",
            Target("http", "api", 80, "/k8s/c1"),
            "http://api:80/k8s/c1/api?a=b",
            "http://api:80/k8s/c1/",
        ),
        (
            "https://[fd00::1]:6443",
            Target("https", "fd00::1", 6443),
            "https://[fd00::1]:6443/api?a=b",
            "https://[fd00::1]:6443/",
        ),
    ],
)
def test_b7_4_urls_without_a_doubled_slash(url, target, api, root):
    assert direct_target(url) == target
    assert target.url("/api", "a=b") == api
    assert target.url("", "") == root


def test_what_the_agent_dials():
    assert direct_target("https://[fd00::1]").address == "[fd00::1]:443"


@pytest.mark.parametrize("url", ["", "api:6443", "ftp://api", "https://", "https://a..b"])
def test_what_is_no_api_server(url):
    with pytest.raises(ValueError, match="not the URL of an API server"):
        direct_target(url)


def b64(text):
    return (base64.b64encode(text).decode(),)


def test_credentials():
    certificate, key = {"clusternet-certificate": b64(b"CERT")}, {"clusternet-privatekey": b64(b"KEY")}
    token = {"clusternet-token": ("first", "second")}
    assert child_credential({}) == ChildCredential()
    assert child_credential({"clusternet-token": ()}) == ChildCredential()
    assert child_credential(token) == ChildCredential("first")
    assert child_credential(certificate | key) == ChildCredential("", b"CERT", b"KEY")
    assert child_credential(certificate | key | token) == ChildCredential("first", b"CERT", b"KEY")
    assert child_credential(certificate | token) == ChildCredential("first")
    assert child_credential(key) == ChildCredential()


def test_credentials_that_are_not_base64():
    with pytest.raises(ValueError, match="not base64"):
        child_credential({"clusternet-certificate": ("!",), "clusternet-privatekey": b64(b"KEY")})
    with pytest.raises(ValueError, match="not base64"):
        child_credential({"clusternet-certificate": b64(b"CERT"), "clusternet-privatekey": ("!",)})


def test_credentials_are_no_extras_of_the_user():
    extra = {"clusternet-token": ("secret",), "clusternet-as": ("x",), "scopes": ("a", "b")}
    assert without_credentials(extra) == {"scopes": ("a", "b")}


def test_credentials_are_not_shown():
    assert "secret" not in repr(ChildCredential("secret", b"secret", b"secret"))


def test_request_headers():
    headers = [
        ("Host", "parent"),
        ("Authorization", "Bearer parent"),
        ("Connection", "keep-alive, X-Hop"),
        ("X-Hop", "1"),
        ("Keep-Alive", "timeout=5"),
        ("Transfer-Encoding", "chunked"),
        ("TE", "trailers"),
        ("Expect", "100-continue"),
        ("X-Remote-User", "clusternet"),
        ("x-remote-extra-clusternet-token", "secret"),
        ("Impersonate-User", "clusternet"),
        ("Accept", "application/json"),
        ("X-Twice", "1"),
        ("X-Twice", "2"),
        ("Content-Length", "3"),
        ("X", "Accept"),
    ]
    kept = [("Accept", "application/json"), ("X-Twice", "1"), ("X-Twice", "2"), ("Content-Length", "3")]
    kept.append(("X", "Accept"))
    assert request_headers(headers, "") == kept
    assert request_headers(iter(headers), "") == kept
    assert request_headers([*headers, ("Remote-Name", "x")], "", consumed={"remote-name"}) == kept
    assert request_headers(headers, "t") == [*kept, ("Authorization", "Bearer t")]
    upgrade = [("Connection", "Upgrade"), ("Upgrade", "SPDY/3.1")]
    assert request_headers([*headers, *upgrade], "t", "SPDY/3.1") == [*kept, ("Authorization", "Bearer t"), *upgrade]


@pytest.mark.parametrize(
    "name",
    [
        "Keep-Alive",
        "Proxy-Authenticate",
        "Proxy-Authorization",
        "Proxy-Connection",
        "TE",
        "Trailer",
        "Transfer-Encoding",
        "Upgrade",
    ],
)
def test_what_concerns_one_connection_is_not_passed_on(name):
    assert request_headers([(name, "x")], "") == response_headers([(name, "x")]) == []


def test_response_headers():
    headers = [
        ("Connection", "close"),
        ("Content-Type", "a/b"),
        ("Transfer-Encoding", "chunked"),
        ("Location", "https://child/"),
    ]
    assert response_headers(headers) == [("Content-Type", "a/b"), ("Location", "https://child/")]
    changed = response_headers(
        [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Accept", "x")], "websocket"
    )
    assert changed == [("Sec-WebSocket-Accept", "x"), ("Connection", "Upgrade"), ("Upgrade", "websocket")]


@pytest.mark.parametrize(
    ("headers", "protocol"),
    [
        ({"Connection": "Upgrade", "Upgrade": "SPDY/3.1"}, "SPDY/3.1"),
        ({"connection": "keep-alive, upgrade", "upgrade": "websocket"}, "websocket"),
        ({"Connection": "keep-alive", "Upgrade": "websocket"}, ""),
        ({"Connection": "Upgrade"}, ""),
        ({}, ""),
    ],
)
def test_upgrades(headers, protocol):
    assert upgrade_protocol(CIMultiDict(headers)) == protocol


@given(st.text(alphabet="a./%2Fe?[]:@", max_size=30))
def test_paths_never_climb(text):
    try:
        path = parse_proxy_path(f"direct/{text}").path
    except ValueError:
        return
    assert path.startswith("/")
    assert not {"..", "."} & set(path.split("/"))
    assert "//" not in path
