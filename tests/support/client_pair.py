"""Certificates by which clients of tests prove who they are."""

from datetime import UTC, datetime, timedelta
from typing import Any

from clusternet_engine.certificates import KeyPair
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


def client_pair(authority: KeyPair, *attributes: tuple[Any, str]) -> KeyPair:
    """Return a client's certificate with this subject."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    signer: Any = serialization.load_pem_private_key(authority.key, password=None)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(oid, value) for oid, value in attributes]))
        .issuer_name(x509.load_pem_x509_certificate(authority.certificate).subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .sign(signer, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return KeyPair(certificate.public_bytes(pem), private)
