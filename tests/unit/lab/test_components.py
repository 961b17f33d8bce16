"""The components' command lines."""

import ipaddress
import re
from pathlib import Path

import pytest
from clusternet_lab.components import CONTROL, NODES, PORTS, STORAGE, Layout, arguments

ALL = (*STORAGE, *CONTROL, NODES)


def layout(*, audit: bool = False) -> Layout:
    return Layout("child1", Path("/labs/one/child1"), {name: 20_000 + n for n, name in enumerate(PORTS)}, audit)


def flags(component: str, *, audit: bool = False) -> dict[str, str]:
    name, *options = arguments(component, layout(audit=audit))
    assert name == component
    return dict(option.removeprefix("--").split("=", 1) for option in options)


@pytest.mark.parametrize("component", ALL)
def test_every_address_but_the_services_range_is_loopback(component: str) -> None:
    values = {flag: value for flag, value in flags(component).items() if flag != "service-cluster-ip-range"}
    addresses = re.findall(r"\d+\.\d+\.\d+\.\d+", " ".join(values.values()))
    assert all(ipaddress.ip_address(address).is_loopback for address in addresses)


@pytest.mark.parametrize("component", ALL)
def test_every_file_is_in_the_clusters_folder(component: str) -> None:
    paths = [value for value in flags(component).values() if value.startswith("/")]
    assert paths
    assert all(Path(path).is_relative_to("/labs/one/child1") for path in paths)


def test_only_clients_with_a_certificate_reach_etcd() -> None:
    etcd = flags("etcd")
    assert etcd["client-cert-auth"] == etcd["peer-client-cert-auth"] == "true"
    assert all(etcd[f"listen-{who}-urls"].startswith("https://") for who in ("client", "peer"))


def test_the_aggregation_layer_is_on_and_follows_external_names() -> None:
    apiserver = flags("kube-apiserver")
    assert apiserver["enable-aggregator-routing"] == "false"
    assert apiserver["requestheader-allowed-names"] == "front-proxy-client"
    assert {"requestheader-client-ca-file", "proxy-client-cert-file", "proxy-client-key-file"} <= apiserver.keys()


def test_requests_are_logged_only_when_asked() -> None:
    assert "audit-log-path" not in flags("kube-apiserver")
    assert flags("kube-apiserver", audit=True)["audit-log-path"] == "/labs/one/child1/audit.log"


def test_bootstrap_tokens_are_served_and_cleaned() -> None:
    assert flags("kube-apiserver")["enable-bootstrap-token-auth"] == "true"
    controllers = flags("kube-controller-manager")["controllers"].split(",")
    assert {"*", "bootstrap-signer-controller", "token-cleaner-controller"} == set(controllers)
