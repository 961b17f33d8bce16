"""A cluster's keys and certificates."""

import stat
from pathlib import Path

import pytest
from clusternet_lab import pki
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import PolicyBuilder, Store


@pytest.fixture
def made(tmp_path: Path) -> Path:
    pki.ensure(tmp_path / "pki", "child1")
    return tmp_path / "pki"


def certificate(folder: Path, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((folder / f"{name}.crt").read_bytes())


@pytest.mark.parametrize(("authority", "name"), [("ca", "kube-apiserver"), ("etcd-ca", "etcd")])
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_servers_are_trusted_on_loopback(made: Path, authority: str, name: str, host: str) -> None:
    for extension in certificate(made, name).extensions:
        if isinstance(extension.value, x509.SubjectAlternativeName):
            names = {str(entry.value) for entry in extension.value}
    assert host in names
    certificate(made, name).verify_directly_issued_by(certificate(made, authority))


@pytest.mark.parametrize("client", pki.CLIENTS, ids=lambda client: client.file)
def test_clients_have_the_user_and_group_of_their_job(made: Path, client: pki.Client) -> None:
    subject = certificate(made, client.file).subject
    assert [name.value for name in subject.get_attributes_for_oid(NameOID.COMMON_NAME)] == [client.user]
    groups = [name.value for name in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
    assert groups == ([client.group] if client.group else [])
    usage = certificate(made, client.file).extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    certificate(made, client.file).verify_directly_issued_by(certificate(made, "ca"))


def test_who_may_speak_for_others_has_another_authority(made: Path) -> None:
    certificate(made, "front-proxy-client").verify_directly_issued_by(certificate(made, "front-proxy-ca"))
    with pytest.raises(ValueError, match="issuer"):
        certificate(made, "front-proxy-client").verify_directly_issued_by(certificate(made, "ca"))


def test_a_strict_verifier_accepts_the_server(made: Path) -> None:
    verifier = PolicyBuilder().store(Store([certificate(made, "ca")])).build_server_verifier(x509.DNSName("localhost"))
    verifier.verify(certificate(made, "kube-apiserver"), [])


def test_all_files_are_private(made: Path) -> None:
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in made.iterdir()} == {0o600}


def test_existing_keys_stay(made: Path) -> None:
    before = {file.name: file.read_bytes() for file in made.iterdir()}
    pki.ensure(made, "child1")
    assert {file.name: file.read_bytes() for file in made.iterdir()} == before


def test_an_interrupted_attempt_is_begun_anew(tmp_path: Path) -> None:
    leftover = tmp_path / ".pki.making"
    leftover.mkdir()
    (leftover / "ca.key").write_text("half a key")
    pki.ensure(tmp_path / "pki", "child1")
    assert not leftover.exists()
    certificate(tmp_path / "pki", "admin").verify_directly_issued_by(certificate(tmp_path / "pki", "ca"))
