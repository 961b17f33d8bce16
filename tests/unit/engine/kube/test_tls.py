"""TLS contexts from what others have written."""

import ssl

import pytest
from clusternet_engine.kube.tls import client_context


@pytest.mark.parametrize(
    "bundle",
    [b"no certificate", b"\xff\xfe", "-----BEGIN CERTIFICATE-----\né\n-----END CERTIFICATE-----\n".encode()],
)
def test_a_bundle_that_is_none_is_an_ssl_error(bundle: bytes) -> None:
    """A child writes its own into a Secret of the parent."""
    with pytest.raises(ssl.SSLError):
        client_context(bundle)
