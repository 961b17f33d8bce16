"""Attacks by a stranger who reaches the port of the hub, without any credential."""

import contextlib
import json
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from attacks.caller import Caller
from attacks.ground import Ground
from attacks.listing import attack
from attacks.paths import REQUESTS, SHADOW, SOCKETS, within

CROWD = 300
"""Connections that a stranger holds at once."""
ADDRESS = "127.0.0.9"
"""Where the stranger is; the parent's API server, and others who are known, are at another address."""


def _context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@contextlib.contextmanager
def crowd(ground: Ground, count: int, *, handshake: bool, said: bytes) -> Iterator[list[socket.socket]]:
    """Hold connections to the hub's port; how many come about is the hub's decision."""
    context, held = _context(), []
    try:
        for _ in range(count):
            with contextlib.suppress(OSError):
                connection: socket.socket = socket.create_connection(
                    ("127.0.0.1", ground.port), timeout=5, source_address=(ADDRESS, 0)
                )
                held.append(connection)
                if handshake:
                    held[-1] = connection = context.wrap_socket(connection)
                if said:
                    connection.sendall(said)
        yield held
    finally:
        for connection in held:
            connection.close()


def still_serves(ground: Ground) -> None:
    """Make sure that honest users and clusters notice nothing, and that the hub runs."""
    ground.honest.passes()
    ground.honest.check()
    assert ground.hub.process.poll() is None, "the hub has ended"


@attack("stranger", "holds hundreds of connections without a handshake, idle ones, and half requests")
def holds_connections(ground: Ground) -> None:
    for handshake, said in (
        (False, b""),
        (False, b"\x16\x03\x01"),
        (False, b"GET / HTTP/1.1\r\n\r\n"),
        (True, b""),
        (True, b"GET /apis/shadow HTTP/1.1\r\nHost: x\r\nX-Half:"),
        (True, b"POST /apis/shadow/v1alpha1 HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n{"),
    ):
        with crowd(ground, CROWD if not handshake else CROWD // 3, handshake=handshake, said=said):
            still_serves(ground)


@attack("stranger", "sends what is no HTTP, or HTTP that two servers read in two ways")
def smuggles(ground: Ground) -> None:
    path, chunked = within(SHADOW, "default", "configmaps", "honest"), "Transfer-Encoding: chunked\r\n"
    for text in (
        b"\x00" * 1000,
        bytes(range(256)) * 40,
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET " + b"/x" * 50_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: " + b"b" * 200_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 20_000 + b"\r\n",
        f"DELETE {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n{chunked}\r\n0\r\n\r\n".encode(),
        f"DELETE {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 9\r\n\r\n".encode(),
        f"DELETE {path} HTTP/1.1\rHost: x\r\r".encode(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ):
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", ground.port), timeout=5) as plain,
            _context().wrap_socket(plain) as connection,
        ):
            connection.sendall(text)
            answer = connection.recv(4096)
            assert not answer.startswith(b"HTTP/1.1 2"), answer
    still_serves(ground)


@attack("stranger", "says it is somebody: by headers of the front proxy, by certificates of its own, by old paths")
def impersonates(ground: Ground) -> None:
    headers = {"X-Remote-User": "admin", "X-Remote-Group": "system:masters", "X-Remote-Extra-Clusternet-Token": "x"}
    for path in (
        within(SHADOW, "default", "configmaps"),
        f"{SOCKETS}/{ground.victim.id}",
        f"{SOCKETS}/{ground.victim.id}/proxy/direct/version",
        f"{SOCKETS}/{ground.victim.id}/proxy/http/127.0.0.1:80/",
        "/apis/shadow/v1alpha1",
        "/connect",
        "/debug/pprof/",
        "/openapi/v2",
        "/metrics",
    ):
        for sent in ({}, headers, {"Authorization": "Bearer x"}, {"Authorization": "Basic YTpi"}):
            answer = ground.stranger("GET", path, headers=sent)
            assert answer.status in (400, 401, 403, 404), (path, sent, answer)
    with contextlib.suppress(OSError):
        answer = Caller(f"https://127.0.0.1:{ground.port}", context=_own_certificate(ground.folder))(
            "GET", within(SHADOW, "default", "configmaps"), headers=headers
        )
        assert answer.status in (400, 401, 403), answer
    anonymous = Caller(ground.parent.server, ground.parent.ca)
    for path in (
        REQUESTS,
        within(SHADOW, "default", "configmaps"),
        f"{SOCKETS}/{ground.victim.id}/proxy/direct/version",
    ):
        answer = anonymous("GET", path, headers=headers)
        assert answer.status in (401, 403), (path, answer)
    assert anonymous("POST", REQUESTS, json.loads("{}")).status in (401, 403)


def _own_certificate(folder: Path) -> ssl.SSLContext:
    """Return TLS with a certificate that the attacker has signed itself, for the front proxy's name."""
    certificate, key = folder / "own.crt", folder / "own.key"
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-subj",
            "/CN=front-proxy-client",
            "-keyout",
            key,
            "-out",
            certificate,
            "-days",
            "1",
        ],
        check=True,
        capture_output=True,
    )
    context = _context()
    context.load_cert_chain(certificate, key)
    return context


@attack("stranger", "opens and drops connections as fast as it can")
def churns(ground: Ground) -> None:
    end = time.monotonic() + 3
    while time.monotonic() < end:
        with crowd(ground, 20, handshake=False, said=b"\x16\x03\x01\x02"):
            pass
    still_serves(ground)
