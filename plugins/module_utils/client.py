# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Kubernetes API as raw JSON over kept-alive connections: no discovery, no models."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Optional
from urllib.parse import urlencode

from ansible_collections.clusternet.core.plugins.module_utils import access as access_module
from ansible_collections.clusternet.core.plugins.module_utils import nesting
from ansible_collections.clusternet.core.plugins.module_utils import transport as transport_module
from ansible_collections.clusternet.core.plugins.module_utils.auth import ConnectionSettings, connection_settings
from ansible_collections.clusternet.core.plugins.module_utils.errors import ApiError, ConnectionFailed

REQUEST_TIMEOUT = 30
"""Seconds a request may stay silent."""

PAGE_SIZE = 500
_LIST_RESTARTS = 3
_ATTEMPTS = 5
_RETRY_AFTER_MAX = 10
_WATCH_SLACK = 5
_WARNING = re.compile(r'299 \S+ "((?:[^"\\]|\\.)*)"')


class Client:
    """One API server, one set of credentials.

    Credentials are read when the client is made, and once more when the server answers 401, so that a renewed token
    file or credential plugin helps and a wrong token fails at once.

    :param settings: see :func:`~.auth.connection_settings`
    :param check_mode: let only reads and dry runs through
    :param route: makes the access to a server behind the one of the settings from the access to that one
    """

    def __init__(
        self,
        settings: ConnectionSettings,
        check_mode: bool = False,
        route: Optional[Callable[[access_module.Access], access_module.Access]] = None,
    ) -> None:
        self._settings = settings
        self._check_mode = check_mode
        self._route = route
        self.warnings: list[str] = []
        self._connect(self._resolve())
        if not self._access.verify and route is None and self.server.startswith("https://"):
            self._warn(f"The TLS certificate of {self.server} is not verified (validate_certs is false).")

    @property
    def access(self) -> access_module.Access:
        """How the API server is reached at present."""
        return self._access

    @property
    def server(self) -> str:
        """URL of the API server, without a trailing slash."""
        return self._access.server

    def request(
        self,
        method: str,
        path: str,
        query: Optional[Mapping[str, Any]] = None,
        body: Any = None,
        content_type: Optional[str] = None,
    ) -> dict[str, Any]:
        """Send one request and return the parsed answer.

        Waits and repeats as the server asks by Retry-After (at most 5 attempts, 10 s each); a read whose connection
        broke is repeated once.

        :param path: path below the server's URL, such as ``/api/v1/namespaces``
        :param query: query parameters; ``None`` values are left out
        :param body: JSON-ready value, or bytes to send as they are
        :param content_type: of the body, ``application/json`` if not given
        :raises ApiError: the server refused
        :raises ConnectionFailed: no answer
        """
        query = {name: value for name, value in (query or {}).items() if value is not None}
        if self._check_mode and method != "GET" and not _is_dry_run(method, query, body):
            raise AssertionError(f"{method} {path} would write in check mode")
        headers = {"accept": "application/json"}
        data = None
        if body is not None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            if nesting.MARK.encode() in data:
                message = "Parts of the object are nested too deeply to be read, so it can't be written."
                raise ApiError(422, "TooDeep", message, None, method, path)
            headers["content-type"] = content_type or "application/json"
        response = self._send(method, path, query, headers, data)
        self._read_warnings(response.headers)
        if not 200 <= response.status < 300:
            raise self._error(method, path, response.status, response.body)
        try:
            answer, cut = nesting.parse(response.body)
        except ValueError as error:
            raise self._unlike(response.status, method, path) from error
        if not isinstance(answer, dict):
            raise self._unlike(response.status, method, path)
        if cut:
            self._name_cut(answer)
        return answer

    def get(self, path: str) -> Optional[dict[str, Any]]:
        """Read one object; ``None`` if it, or its kind, is not there (404)."""
        try:
            return self.request("GET", path)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def list(
        self,
        path: str,
        label_selector: Optional[str] = None,
        limit: int = PAGE_SIZE,
        transform: Optional[Callable[[dict[str, Any]], Any]] = None,
        field_selector: Optional[str] = None,
    ) -> list[Any]:
        """Read all objects of a collection, page by page; starts again when the server forgot the snapshot (410).

        :param limit: objects a page
        :param transform: applied to each object as its page arrives, so that only the results stay in memory
        """
        for attempt in range(_LIST_RESTARTS + 1):
            page_size = limit if attempt < _LIST_RESTARTS else None
            try:
                pages = self.pages(path, label_selector, page_size, field_selector)
                return [transform(item) if transform else item for page in pages for item in page]
            except ApiError as error:
                if error.status != 410 or page_size is None:
                    raise
        raise AssertionError("unreachable")

    def pages(
        self,
        path: str,
        label_selector: Optional[str] = None,
        limit: Optional[int] = PAGE_SIZE,
        field_selector: Optional[str] = None,
    ) -> Iterator[list[dict[str, Any]]]:
        """Read a collection page by page, ``managedFields`` dropped.

        :param limit: objects a page; ``None`` reads all at once
        :raises ApiError: also with status 410 between pages: what was read so far is not a whole
        """
        position = None
        while True:
            query = {
                "labelSelector": label_selector or None,
                "fieldSelector": field_selector or None,
                "limit": limit,
                "continue": position,
            }
            answer = self.request("GET", path, query)
            items = answer.get("items") or []
            if not (isinstance(items, list) and all(map(_is_object, items))):
                raise self._unlike(200, "GET", path)
            for item in items:
                item["metadata"].pop("managedFields", None)
            yield items
            metadata = answer.get("metadata")
            position = metadata.get("continue") if isinstance(metadata, dict) else None
            if not position:
                return

    def watch(
        self,
        path: str,
        resource_version: str,
        timeout: float,
        field_selector: Optional[str] = None,
        label_selector: Optional[str] = None,
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Follow changes from a resource version on, until the timeout or until the server ends the stream.

        :param timeout: seconds, at least 1
        :returns: pairs of the event's type (``ADDED``, ``MODIFIED``, ``DELETED``) and the object
        :raises ApiError: the server refused, or sent an error event (410: the resource version is too old)
        :raises ConnectionFailed: the stream broke
        """
        deadline = time.monotonic() + timeout
        query = {
            "watch": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": max(1, int(timeout)),
            "fieldSelector": field_selector,
            "labelSelector": label_selector,
        }
        url = self._url(path, {name: value for name, value in query.items() if value is not None})
        try:
            stream = self._transport.stream(url, self._headers({"accept": "application/json"}), timeout + _WATCH_SLACK)
        except transport_module.TransportError as error:
            raise ConnectionFailed(self.server, str(error)) from error
        try:
            if stream.status != 200:
                raise self._error("WATCH", path, stream.status, b"\n".join(stream.lines))
            for line in stream.lines:
                event = self._event(line, path)
                if event["type"] == "ERROR":
                    raise self._error(
                        "WATCH", path, event["object"].get("code", 500), json.dumps(event["object"]).encode()
                    )
                yield event["type"], event["object"]
                if time.monotonic() >= deadline:
                    return
        except transport_module.TransportError as error:
            raise ConnectionFailed(self.server, str(error)) from error
        finally:
            stream.close()

    def _event(self, line: bytes, path: str) -> dict[str, Any]:
        try:
            event, cut = nesting.parse(line)
        except ValueError as error:
            raise self._unlike(200, "WATCH", path) from error
        if not (isinstance(event, dict) and isinstance(event.get("object"), dict) and event.get("type")):
            raise self._unlike(200, "WATCH", path)
        if cut:
            self._name_cut(event["object"])
        return event

    def _unlike(self, status: int, method: str, path: str) -> ApiError:
        message = f"{self.server} does not answer like a Kubernetes API server."
        return ApiError(status, "NotJSON", message, None, method, path)

    def _name_cut(self, answer: Mapping[str, Any]) -> None:
        """Warn of each object in an answer that has lost something."""
        items = answer.get("items")
        for item in filter(_is_object, items if isinstance(items, list) else [answer]):
            if nesting.is_cut(item):
                kind = item.get("kind") or str(answer.get("kind") or "object").removesuffix("List")
                metadata = item["metadata"]
                place = "/".join(filter(None, (metadata.get("namespace"), metadata["name"])))
                self._warn(
                    f"{kind} {place} is nested deeper than {nesting.MAX_DEPTH} levels; "
                    "what is deeper is left out of results."
                )

    def _resolve(self) -> access_module.Access:
        access = access_module.resolve(self._settings)
        return self._route(access) if self._route else access

    def _connect(self, access: access_module.Access) -> None:
        self._access = access
        self._transport = transport_module.transport(access)

    def _send(
        self, method: str, path: str, query: Mapping[str, Any], headers: Mapping[str, str], data: Optional[bytes]
    ) -> transport_module.Response:
        renewed = broken = False
        waits = 0
        while True:
            try:
                response = self._transport.request(
                    method, self._url(path, query), self._headers(headers), data, REQUEST_TIMEOUT
                )
            except transport_module.TransportError as error:
                if not error.dropped or broken or method != "GET":
                    raise ConnectionFailed(self.server, str(error)) from error
                broken = True
                continue
            if response.status == 401 and not renewed:
                renewed = True
                if self._renew():
                    continue
            delay = _retry_after(response)
            if delay is None or waits == _ATTEMPTS - 1:
                return response
            waits += 1
            time.sleep(delay)

    def _renew(self) -> bool:
        access = self._resolve()
        if access == self._access:
            return False
        self._connect(access)
        return True

    def _url(self, path: str, query: Mapping[str, Any]) -> str:
        return f"{self.server}{path}" + (f"?{urlencode(query)}" if query else "")

    def _headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        return {"user-agent": "clusternet.core", **headers, **self._access.headers}

    def _read_warnings(self, headers: Mapping[str, str]) -> None:
        for text in _WARNING.findall(headers.get("warning", "")):
            self._warn(re.sub(r"\\(.)", r"\1", text))

    def _warn(self, text: str) -> None:
        if text not in self.warnings:
            self.warnings.append(text)

    def _error(self, method: str, path: str, status: int, body: bytes) -> ApiError:
        try:
            answer = nesting.parse(body)[0]
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            answer = {"message": body[:200].decode(errors="replace").strip()}
        message = answer.get("message") or "no reason given"
        if status == 401:
            message = (
                f"{self.server} does not accept the credentials: "
                "the token, certificate or password is missing, wrong or expired."
            )
        return ApiError(status, answer.get("reason") or f"HTTP{status}", message, answer.get("details"), method, path)


def _is_object(value: Any) -> bool:
    metadata = value.get("metadata") if isinstance(value, dict) else None
    return isinstance(metadata, dict) and isinstance(metadata.get("name"), str)


def client_from_module(module: Any) -> Client:
    """Make the client from a module's parameters and its check mode.

    :raises ConfigError: see :func:`~.auth.connection_settings` and :func:`~.access.resolve`
    """
    return Client(connection_settings(module.params), check_mode=module.check_mode)


def _is_dry_run(method: str, query: Mapping[str, Any], body: Any) -> bool:
    """The server ignores ``?dryRun=All`` of a DELETE that has a body: there the body must say it."""
    if method == "DELETE" and body is not None:
        return body.get("dryRun") == ["All"]
    return query.get("dryRun") == "All"


def _retry_after(response: transport_module.Response) -> Optional[float]:
    if response.status != 429 and response.status < 500:
        return None
    try:
        return min(float(response.headers["retry-after"]), _RETRY_AFTER_MAX)
    except (KeyError, ValueError):
        return None
