"""Certificates to serve with: self-signed ones, and a small authority of one's own that issues them."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CERTIFICATE_LIFETIME = timedelta(days=365)
AUTHORITY_LIFETIME = timedelta(days=3650)
_SKEW = timedelta(hours=1)
"""Clocks of others may be that late."""


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate and its key, both PEM."""

    certificate: bytes
    key: bytes = field(repr=False)

    def remaining(self, now: datetime) -> timedelta:
        """Return how long the certificate is still valid.

        Raises:
            ValueError: it isn't PEM.
        """
        return x509.load_pem_x509_certificate(self.certificate).not_valid_after_utc - now


def self_signed() -> KeyPair:
    """Return a certificate for this host's name and loopback that vouches for itself."""
    return _issue(socket.gethostname(), own_names(), CERTIFICATE_LIFETIME)


def make_authority(name: str) -> KeyPair:
    """Return a certificate with which others are issued."""
    return _issue(name, (), AUTHORITY_LIFETIME)


def issue(authority: KeyPair, name: str, names: Iterable[str]) -> KeyPair:
    """Return a server's certificate, valid under these names and under those of this host.

    Raises:
        ValueError: the authority's certificate or key isn't PEM.
    """
    return _issue(name, (*names, *own_names()), CERTIFICATE_LIFETIME, authority)


def own_names() -> tuple[str, ...]:
    """Return the names and addresses under which this host reaches itself."""
    return socket.gethostname(), "localhost", "127.0.0.1", "::1"


def _issue(name: str, names: Iterable[str], lifetime: timedelta, authority: KeyPair | None = None) -> KeyPair:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
    signer: ec.EllipticCurvePrivateKey = key
    if authority is not None:
        issuer = x509.load_pem_x509_certificate(authority.certificate).subject
        loaded = serialization.load_pem_private_key(authority.key, password=None)
        if not isinstance(loaded, ec.EllipticCurvePrivateKey):
            raise ValueError("the authority's key is none of an elliptic curve")
        signer = loaded
    alternatives = [_general_name(one) for one in dict.fromkeys(names)]
    is_authority = authority is None
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + lifetime)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=0 if is_authority else None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if alternatives:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    certificate = builder.sign(signer, hashes.SHA256())
    return KeyPair(
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
