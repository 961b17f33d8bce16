"""The client over real sockets, with urllib3 and with Ansible's urls."""

import json

import pytest
from ansible_collections.clusternet.core.plugins.module_utils import access, transport
from ansible_collections.clusternet.core.plugins.module_utils.auth import connection_settings
from ansible_collections.clusternet.core.plugins.module_utils.client import Client
from ansible_collections.clusternet.core.plugins.module_utils.errors import ApiError, ConfigError, ConnectionFailed
from fleet_server import LIST, Certificates, FleetServer, managed_cluster
from hypothesis import given
from hypothesis import strategies as st

PATH = f"{LIST}/managedclusters"


@pytest.fixture(params=["urllib3", "urls"], autouse=True)
def library(request, monkeypatch):
    if request.param == "urls":
        monkeypatch.setattr(transport, "urllib3", None)
    return request.param


@pytest.fixture
def server():
    with FleetServer([managed_cluster("a")]) as running:
        yield running


def client(server, check_mode=False, **options):
    return Client(
        connection_settings({"host": server if isinstance(server, str) else server.url, **options}, {}), check_mode
    )


def test_list_pages_and_drops_managed_fields(server):
    server.clusters = [managed_cluster(f"c{number}") for number in range(7)]
    found = client(server).list(PATH, limit=3)
    assert [item["metadata"]["name"] for item in found] == [f"c{number}" for number in range(7)]
    assert not any("managedFields" in item["metadata"] for item in found)
    assert len(server.requests) == 3


@given(count=st.integers(0, 40), limit=st.integers(1, 12))
def test_list_finds_all_with_the_fewest_requests(count, limit):
    with FleetServer([managed_cluster(f"c{number}") for number in range(count)]) as server:
        found = client(server).list(PATH, limit=limit, transform=lambda item: item["metadata"]["name"])
        assert found == [f"c{number}" for number in range(count)]
        assert len(server.requests) == max(1, -(-count // limit))


def test_get_is_none_when_the_object_or_its_kind_is_not_there(server):
    server.kind_known = False
    assert client(server).get(f"{PATH}/x") is None


def test_errors_name_status_reason_and_path(server):
    server.forbidden = {""}
    with pytest.raises(ApiError) as caught:
        client(server).get(PATH)
    error = caught.value
    assert (error.status, error.reason) == (403, "Forbidden")
    assert 'User "jane" cannot list' in error.msg
    assert error.failure["code"] == "Forbidden"
    assert json.dumps(error.failure)


def test_writes_send_json_and_the_content_type(server):
    server.answers = [(201, {}, b'{"kind": "Secret"}')]
    body = {"kind": "Secret"}
    found = client(server).request(
        "PATCH", "/x", {"fieldManager": "m", "force": None}, body, "application/apply-patch+yaml"
    )
    assert found == body
    seen = server.requests[0]
    assert (seen.method, seen.query) == ("PATCH", {"fieldManager": "m"})
    assert seen.headers["content-type"] == ["application/apply-patch+yaml"]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_pain_10_check_mode_lets_only_reads_and_dry_runs_through(server, method):
    reader = client(server, check_mode=True)
    reader.get(PATH)
    with pytest.raises(AssertionError, match="check mode"):
        reader.request(method, PATH)
    server.answers = [(200, {}, b"{}")]
    reader.request(method, PATH, {"dryRun": "All"})
    assert [seen.query.get("dryRun") for seen in server.requests] == [None, "All"]


def test_api_warnings_reach_the_user_once(server):
    server.headers = {"Warning": '299 - "v1beta1 is \\"old\\"", 299 - "second"'}
    reader = client(server)
    reader.get(PATH)
    reader.get(PATH)
    assert reader.warnings == ['v1beta1 is "old"', "second"]


def test_pain_26_a_renewed_token_is_read_once_upon_401(server, tmp_path):
    path = tmp_path / "token"
    path.write_text("old")
    config = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}],
        "clusters": [{"name": "c", "cluster": {"server": server.url}}],
        "users": [{"name": "c", "user": {"tokenFile": str(path)}}],
    }
    reader = Client(connection_settings({"kubeconfig": config}, {}))
    server.tokens = {"new"}
    path.write_text("new")
    assert reader.get(PATH)["items"]
    assert len(server.requests) == 2
    server.tokens = {"third"}
    with pytest.raises(ApiError, match="does not accept the credentials"):
        reader.get(PATH)
    assert len(server.requests) == 3


def test_a_busy_server_is_asked_again_when_it_says_so(server):
    server.answers = [(429, {"Retry-After": "0"}, b"{}"), (503, {"Retry-After": "0"}, b"{}")]
    assert client(server).get(PATH)["items"]
    assert len(server.requests) == 3


def test_a_server_that_stays_busy_is_an_error(server):
    server.answers = [(429, {"Retry-After": "0"}, b'{"reason": "TooManyRequests"}')] * 9
    with pytest.raises(ApiError) as caught:
        client(server).get(PATH)
    assert caught.value.status == 429
    assert len(server.requests) == 5


def test_an_internal_error_is_not_repeated(server):
    server.answers = [(500, {}, b"boom")]
    with pytest.raises(ApiError, match="boom"):
        client(server).get(PATH)
    assert len(server.requests) == 1


def test_a_write_whose_connection_broke_is_not_repeated(server):
    server.answers = [(0, {}, b"")]
    with pytest.raises(ConnectionFailed):
        client(server).request("POST", PATH, body={})
    assert len(server.requests) == 1


def test_something_else_than_an_api_server(server):
    server.answers = [(200, {}, b"<html>")]
    with pytest.raises(ApiError, match="does not answer like a Kubernetes API server"):
        client(server).get(PATH)


def test_redirects_are_not_followed(server):
    server.answers = [(302, {"Location": f"{server.url}/elsewhere"}, b"")]
    with pytest.raises(ApiError) as caught:
        client(server, api_key="planted").get(PATH)
    assert caught.value.status == 302
    assert len(server.requests) == 1


def test_no_answer_says_why():
    with pytest.raises(ConnectionFailed, match="connection refused"):
        client("http://127.0.0.1:1").get(PATH)
    with pytest.raises(ConnectionFailed, match="does not resolve"):
        client("http://no-such-host.invalid").get(PATH)


def test_tls_trusts_the_given_ca_only(tmp_path):
    pem = Certificates.make(tmp_path)
    with FleetServer([managed_cluster("a")], tls=pem) as server:
        with pytest.raises(ConnectionFailed, match="not trusted"):
            client(server).get(PATH)
        assert client(server, ca_cert=str(pem.ca)).get(PATH)["items"]
        assert client(server, ca_cert=str(pem.ca), client_cert=str(pem.client)).get(PATH)["items"]
        careless = client(server, validate_certs=False)
        assert careless.get(PATH)["items"]
        assert any("not verified" in text for text in careless.warnings)


def test_tls_server_name_of_a_kubeconfig(tmp_path, library):
    pem = Certificates.make(tmp_path)
    with FleetServer([managed_cluster("a")], tls=pem) as server:
        reach = access.Access(server.url, ca=pem.ca.read_text(), tls_server_name="parent.example.com")
        if library == "urls":
            with pytest.raises(ConfigError, match="urllib3"):
                transport.transport(reach)
            return
        assert transport.transport(reach).request("GET", server.url + PATH, {}, None, 10).status == 200
        wrong = access.Access(server.url, ca=pem.ca.read_text(), tls_server_name="elsewhere.example.com")
        with pytest.raises(transport.TransportError):
            transport.transport(wrong).request("GET", server.url + PATH, {}, None, 10)


def test_pain_10_a_delete_with_a_body_is_a_dry_run_only_if_the_body_says_so(server):
    with pytest.raises(AssertionError, match="check mode"):
        client(server, check_mode=True).request("DELETE", "/api/v1/namespaces/a", {"dryRun": "All"}, {"kind": "Any"})


@pytest.mark.parametrize("option", ["ca_cert", "client_cert"])
def test_a_broken_certificate_names_the_option(tmp_path, option):
    (tmp_path / "broken.pem").write_text("-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----\n")
    with pytest.raises(ConfigError) as caught:
        client("https://127.0.0.1:1", **{option: str(tmp_path / "broken.pem")})
    assert caught.value.option == option


def test_a_proxy_is_used_with_its_headers(server):
    reader = client(
        "http://parent.example.com", proxy=server.url, proxy_headers={"proxy_basic_auth": "user:word"}, api_key="t"
    )
    assert reader.get(PATH)["items"]
    assert server.requests[0].headers["host"] == ["parent.example.com"]
    assert server.requests[0].headers["proxy-authorization"] == ["Basic dXNlcjp3b3Jk"]


def test_no_proxy_and_the_proxy_of_the_environment(server, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert client(server).get(PATH)["items"]
    assert client(server, proxy="http://127.0.0.1:1", no_proxy="example.com,127.0.0.0/8").get(PATH)["items"]


@pytest.mark.parametrize(
    ("rules", "host", "direct"),
    [
        ("", "a.example.com", False),
        ("*", "a.example.com", True),
        ("example.com", "a.example.com", True),
        (".example.com", "example.com", True),
        ("example.com", "badexample.com", False),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("10.0.0.0/8, localhost", "localhost", True),
    ],
)
def test_no_proxy_rules(rules, host, direct):
    reach = access.Access(f"https://{host}:6443", proxy="http://proxy", no_proxy=rules)
    assert transport.uses_proxy(reach) is not direct


def test_impersonation_headers(server, library):
    if library == "urls":
        with pytest.raises(ConfigError, match="urllib3"):
            client(server, impersonate_user="jane", impersonate_groups=["a", "b"])
        client(server, impersonate_user="jane", impersonate_groups=["a"]).get(PATH)
        assert server.requests[0].headers["impersonate-group"] == ["a"]
        return
    client(server, impersonate_user="jane", impersonate_groups=["a", "b"]).get(PATH)
    assert server.requests[0].headers["impersonate-user"] == ["jane"]
    assert server.requests[0].headers["impersonate-group"] == ["a", "b"]


def watch_answer(*events):
    return (200, {}, b"".join(json.dumps({"type": kind, "object": item}).encode() + b"\n" for kind, item in events))


def test_watch_yields_events_and_ends_with_the_stream(server):
    server.answers = [watch_answer(("ADDED", {"n": 1}), ("MODIFIED", {"n": 2}))]
    found = list(client(server).watch(PATH, "7", timeout=5, field_selector="metadata.name=a"))
    assert found == [("ADDED", {"n": 1}), ("MODIFIED", {"n": 2})]
    assert server.requests[0].query == {
        "watch": "true",
        "resourceVersion": "7",
        "timeoutSeconds": "5",
        "fieldSelector": "metadata.name=a",
    }


def test_watch_raises_error_events_and_refusals(server):
    server.answers = [watch_answer(("ERROR", {"code": 410, "reason": "Expired", "message": "too old"}))]
    with pytest.raises(ApiError) as caught:
        list(client(server).watch(PATH, "7", timeout=5))
    assert caught.value.status == 410
    server.tokens = set()
    with pytest.raises(ApiError) as caught:
        list(client(server).watch(PATH, "7", timeout=5))
    assert caught.value.status == 401


def test_a_client_keeps_its_connection(server, library):
    if library == "urls":
        pytest.skip("urls makes a connection for each request")
    reader = client(server)
    reader.get(PATH)
    for _ in range(20):
        reader.get(PATH)
    assert reader._transport._pool.connection_from_url(server.url).num_connections == 1
