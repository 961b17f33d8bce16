"""TLS contexts from PEM in memory."""

from __future__ import annotations

import os
import ssl
import tempfile
from pathlib import Path
from typing import NoReturn


def load_key_pair(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """Load a PEM certificate and key into a context.

    Python's ``ssl`` reads only files, so they stand for a moment in a folder of mode 0700, in a file of mode 0600.

    :raises ssl.SSLError: they are not PEM, do not belong together, or the key is encrypted.
    """
    with tempfile.TemporaryDirectory(prefix="clusternet-") as folder:
        chain = Path(folder, "chain.pem")
        with os.fdopen(os.open(chain, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(certificate.rstrip() + b"\n" + key)
        context.load_cert_chain(chain, password=_refuse_encrypted)


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
    context = ssl.create_default_context(cadata=ca_data.decode("ascii", "backslashreplace") if ca_data else None)
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if certificate and key:
        load_key_pair(context, certificate, key)
    return context


def unverified_context() -> ssl.SSLContext:
    """A context for a server of which nothing is known by which it could be verified."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
