"""TLS contexts from what others have written."""

import contextlib
import resource
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from clusternet_engine.certificates import self_signed
from clusternet_engine.kube.config import ClusterConfig, ConfigError
from clusternet_engine.kube.connections import tls
from clusternet_engine.kube.tls import client_context, load_key_pair, unverified_context, verifying_context


@contextlib.contextmanager
def no_descriptors() -> Iterator[None]:
    """Keep this process from opening anything."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@pytest.mark.parametrize(
    "bundle",
    [b"no certificate", b"\xff\xfe", "-----BEGIN CERTIFICATE-----\né\n-----END CERTIFICATE-----\n".encode()],
)
def test_a_bundle_that_is_none_is_an_ssl_error(bundle: bytes) -> None:
    """A child writes its own into a Secret of the parent."""
    with pytest.raises(ssl.SSLError):
        client_context(bundle)


def test_a_key_pair_touches_no_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "missing"))
    pair = self_signed()
    load_key_pair(unverified_context(), pair.certificate, pair.key)
    with pytest.raises(ssl.SSLError):
        load_key_pair(unverified_context(), pair.certificate, self_signed().key)


def test_want_of_descriptors_says_nothing_about_a_key_pair() -> None:
    pair = self_signed()
    config = ClusterConfig(
        "https://x", ca_data=pair.certificate, client_certificate=pair.certificate, client_key=pair.key
    )
    raised: list[Exception] = []
    for work in (lambda: load_key_pair(unverified_context(), pair.certificate, pair.key), lambda: tls(config)):
        with no_descriptors():
            try:
                work()
            except (OSError, ConfigError) as error:
                raised.append(error)
    assert [type(error) for error in raised] == [OSError, ConfigError]
    assert all("Too many open files" in str(error) for error in raised)


def test_who_trusts_the_same_has_the_same_context() -> None:
    ours, theirs = self_signed().certificate, self_signed().certificate
    assert verifying_context(ours) is verifying_context(bytes(ours))
    assert verifying_context(ours) is not verifying_context(theirs)
    assert verifying_context(None) is verifying_context(None)
    assert all(verifying_context(one).verify_mode == ssl.CERT_REQUIRED for one in (ours, None))
