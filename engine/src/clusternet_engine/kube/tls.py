"""TLS contexts from PEM in memory."""

from __future__ import annotations

import ssl
from functools import lru_cache
from typing import NoReturn

from clusternet_engine.memory_files import descriptor_path, memory_file


def load_key_pair(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """Load a PEM certificate and key into a context.

    Python's ``ssl`` reads only files, so they stand for a moment in one that exists in memory only.

    :raises ssl.SSLError: they are not PEM, do not belong together, or the key is encrypted.
    :raises OSError: no file descriptor is left; that says nothing about the pair.
    """
    with memory_file("key-pair", certificate.rstrip() + b"\n" + key) as descriptor:
        context.load_cert_chain(descriptor_path(descriptor), password=_refuse_encrypted)


def _refuse_encrypted() -> NoReturn:
    """Instead of OpenSSL, which would ask on the terminal and let the whole process wait."""
    error = ssl.SSLError("the private key is encrypted")
    error.reason = "PRIVATE_KEY_IS_ENCRYPTED"
    raise error


def client_context(
    ca_data: bytes | None, *, insecure: bool = False, certificate: bytes | None = None, key: bytes | None = None
) -> ssl.SSLContext:
    """A context for requests to an API server; verifies the server unless told otherwise.

    :param ca_data: PEM bundle to trust; ``None`` trusts the system's store.
    :raises ssl.SSLError: unreadable CA, certificate or key.
    """
    context = _verifying(ca_data)
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if certificate and key:
        load_key_pair(context, certificate, key)
    return context


@lru_cache(maxsize=32)
def verifying_context(ca_data: bytes | None) -> ssl.SSLContext:
    """Return a context that verifies servers, one for all who trust the same: each takes two MiB for its authorities.

    Args:
        ca_data: PEM bundle to trust; None trusts the system's store, as it was when it was first needed.

    Raises:
        ssl.SSLError: unreadable CA.
    """
    return _verifying(ca_data)


def unverified_context() -> ssl.SSLContext:
    """A context for a server of which nothing is known by which it could be verified."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _verifying(ca_data: bytes | None) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=ca_data.decode("ascii", "backslashreplace") if ca_data else None)
