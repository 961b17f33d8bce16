"""Bearer tokens that change while the process runs."""

from __future__ import annotations

import asyncio
import os
import time
from datetime import datetime
from pathlib import Path
from typing import Protocol

import orjson

from clusternet_engine.kube.config import ClusterConfig, ConfigError, ExecCommand

FILE_AGE = 60.0
"""Seconds a token read from a file is used before the file is read again (kubelet rotates it in place)."""
EXEC_TIMEOUT = 60.0
"""Seconds a credential plugin may run."""
EXPIRY_MARGIN = 10.0
"""Seconds before its expiry at which a plugin's token is replaced."""
EXEC_VERSIONS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")


class TokenSource(Protocol):
    """Where the bearer token of a request comes from."""

    async def token(self, *, renew: bool = False) -> str | None:
        """The token to send.

        :param renew: the server refused the last one; do not answer from memory.
        :raises ConfigError: the source can't be read.
        """


class StaticToken:
    """One token, or none, for ever."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    async def token(self, *, renew: bool = False) -> str | None:
        """The token; ``renew`` changes nothing."""
        return self._token


class RenewedToken:
    """A token that somebody replaces while it is used."""

    def __init__(self, token: str) -> None:
        self._token = token

    @property
    def current(self) -> str:
        """The token in use."""
        return self._token

    def replace(self, token: str) -> None:
        """Use another token from the next request on."""
        self._token = token

    async def token(self, *, renew: bool = False) -> str | None:
        """The token; ``renew`` changes nothing, since whoever renews it does so in time."""
        return self._token


class TokenFile:
    """A token in a file, read again every :data:`FILE_AGE` seconds and when the server refuses it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._token: str | None = None
        self._read_at = 0.0

    async def token(self, *, renew: bool = False) -> str | None:
        """The file's content.

        :raises ConfigError: the file can't be read.
        """
        if renew or self._token is None or time.monotonic() - self._read_at >= FILE_AGE:
            try:
                self._token = self._path.read_text().strip()
            except OSError as error:
                raise ConfigError(f"token file {self._path}: {error.strerror}") from None
            self._read_at = time.monotonic()
        return self._token


class ExecToken:
    """A token printed by a credential plugin, kept until shortly before its expiry."""

    def __init__(self, command: ExecCommand) -> None:
        if command.api_version not in EXEC_VERSIONS:
            raise ConfigError(f"exec apiVersion {command.api_version!r} is not one of {', '.join(EXEC_VERSIONS)}")
        self._command = command
        self._token: str | None = None
        self._expires = float("inf")
        self._lock = asyncio.Lock()

    async def token(self, *, renew: bool = False) -> str | None:
        """Run the plugin if there is no token, it is about to expire, or it was refused.

        :raises ConfigError: the plugin is missing, fails, takes too long, or prints no token.
        """
        refused = self._token if renew else None
        async with self._lock:
            if self._token is None or self._token == refused or time.time() >= self._expires - EXPIRY_MARGIN:
                self._token, self._expires = await self._run()
            return self._token

    async def _run(self) -> tuple[str, float]:
        command = self._command
        request = {"apiVersion": command.api_version, "kind": "ExecCredential", "spec": {"interactive": False}}
        environment = {**os.environ, **command.env, "KUBERNETES_EXEC_INFO": orjson.dumps(request).decode()}
        pipe = asyncio.subprocess.PIPE
        try:
            process = await asyncio.create_subprocess_exec(
                command.command, *command.args, env=environment, stdin=asyncio.subprocess.DEVNULL, stdout=pipe
            )
        except OSError as error:
            raise ConfigError(f"exec {command.command}: {error.strerror}. {command.install_hint}".rstrip()) from None
        try:
            async with asyncio.timeout(EXEC_TIMEOUT):
                output, _ = await process.communicate()
        except TimeoutError:
            raise ConfigError(f"exec {command.command}: no credential within {EXEC_TIMEOUT:.0f} s") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode != 0:
            raise ConfigError(f"exec {command.command}: exit status {process.returncode}")
        return _parse_credential(command.command, output)


def _parse_credential(command: str, output: bytes) -> tuple[str, float]:
    try:
        status = orjson.loads(output)["status"]
        token = str(status["token"])
        expiry = status.get("expirationTimestamp")
        expires = datetime.fromisoformat(expiry).timestamp() if expiry else float("inf")
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError):
        raise ConfigError(f"exec {command}: printed no ExecCredential with a token") from None
    return token, expires


def token_source(config: ClusterConfig) -> TokenSource:
    """The source a configuration asks for."""
    if config.token_file is not None:
        return TokenFile(config.token_file)
    if config.exec_command is not None:
        return ExecToken(config.exec_command)
    return StaticToken(config.token)
