"""A cluster's own keys and certificates."""

import datetime
import ipaddress
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFETIME = datetime.timedelta(days=5 * 365)
SERVICE_ADDRESS = "10.96.0.1"
_SERVER_NAMES = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")


@dataclass(frozen=True)
class Client:
    """Whom a client certificate names: file name, user, group."""

    file: str
    user: str
    group: str | None = None


CLIENTS = (
    Client("admin", "kubernetes-admin", "system:masters"),
    Client("kube-controller-manager", "system:kube-controller-manager", "system:masters"),
    Client("kube-scheduler", "system:kube-scheduler"),
    Client("kwok", "system:kwok", "system:masters"),
)


class _Authority:
    """A certificate authority: signs, and writes what it signed."""

    def __init__(self, folder: Path, file: str, common_name: str) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        usage = x509.KeyUsage(
            digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False, key_encipherment=False,
            data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
        )  # fmt: skip
        self._identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        certificate = (
            self._builder(self._name, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .sign(self._key, hashes.SHA256())
        )
        _write_pair(folder, file, self._key, certificate)

    def issue(self, file: str, user: str, group: str | None = None, *, server: bool = False) -> None:
        """Write ``<file>.crt`` and ``<file>.key`` for a client, or for a server on loopback that is also a client."""
        key = ec.generate_private_key(ec.SECP256R1())
        attributes = [x509.NameAttribute(NameOID.COMMON_NAME, user)]
        if group:
            attributes.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, group))
        builder = self._builder(x509.Name(attributes), key.public_key()).add_extension(
            x509.BasicConstraints(ca=False, path_length=None), critical=True
        )
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH]
        if server:
            usages.append(ExtendedKeyUsageOID.SERVER_AUTH)
            addresses = [x509.IPAddress(ipaddress.ip_address(address)) for address in ("127.0.0.1", SERVICE_ADDRESS)]
            names = [x509.DNSName(name) for name in _SERVER_NAMES]
            builder = builder.add_extension(x509.SubjectAlternativeName([*addresses, *names]), critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        _write_pair(self._folder, file, key, builder.sign(self._key, hashes.SHA256()))

    def _builder(self, subject: x509.Name, public_key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + LIFETIME)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
            .add_extension(self._identifier, critical=False)
        )


def _write_pair(folder: Path, file: str, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
    _write(folder / f"{file}.crt", certificate.public_bytes(serialization.Encoding.PEM))
    _write_key(folder / f"{file}.key", key)


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    _write(
        path,
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        ),
    )


def _write(path: Path, content: bytes) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)


def ensure(folder: Path, cluster: str) -> None:
    """Make the keys and certificates of ``cluster`` in ``folder``, whole or not at all; existing ones stay.

    Files: ``ca`` (servers and clients), ``front-proxy-ca`` and ``front-proxy-client`` (aggregation layer), ``etcd-ca``,
    ``etcd`` and ``etcd-client``, ``kube-apiserver``, one pair for each of `CLIENTS`, ``service-account.key``/``.pub``.
    """
    if folder.is_dir():
        return
    making = folder.with_name(f".{folder.name}.making")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(mode=0o700, parents=True)
    authority = _Authority(making, "ca", f"{cluster} CA")
    authority.issue("kube-apiserver", "kube-apiserver", server=True)
    for client in CLIENTS:
        authority.issue(client.file, client.user, client.group)
    _Authority(making, "front-proxy-ca", f"{cluster} front proxy CA").issue("front-proxy-client", "front-proxy-client")
    etcd_authority = _Authority(making, "etcd-ca", f"{cluster} etcd CA")
    etcd_authority.issue("etcd", "etcd", server=True)
    etcd_authority.issue("etcd-client", "kube-apiserver")
    key = ec.generate_private_key(ec.SECP256R1())
    _write_key(making / "service-account.key", key)
    _write(
        making / "service-account.pub",
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
    )
    making.rename(folder)
