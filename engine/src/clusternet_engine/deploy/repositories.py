"""Chart repositories, over HTTP and in OCI registries: what they have, and the archives of charts (spec/03 §1.2).

Servers are always verified; what is done has a limit in time, and every answer one in size.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import logging
import re
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urljoin

import aiohttp
from yarl import URL

from clusternet_engine.connecting import AddressRefused, JudgedConnector, environment_proxy
from clusternet_engine.kube.resources import Object
from clusternet_engine.kube.tls import verifying_context
from clusternet_engine.model.addresses import AddressRule
from clusternet_engine.model.charts import (
    ChartMissing,
    IndexEntry,
    OciChart,
    find_in_index,
    find_tag,
    index_url,
    is_oci,
    oci_chart,
    same_origin,
)
from clusternet_engine.model.documents import DocumentError, read_json, read_part
from clusternet_engine.model.limits import OBJECT, Limits
from clusternet_engine.model.texts import printable
from clusternet_engine.threads import Threads

LOOK_TIMEOUT = 15.0
"""Seconds to learn whether a repository has a chart."""
_FETCH_TIMEOUT = 60.0
"""Seconds to get the archive of a chart."""
_CONNECT_TIMEOUT = 5.0
_INDEX_LIMITS = Limits(size=64 * 2**20, nodes=2_000_000)
_ARCHIVE_LIMIT = 20 * 2**20
_ANSWER_LIMIT = OBJECT.size
"""Of an index; bytes of an archive, of any other answer."""
_KEPT_FOR = 30.0
"""Seconds in which the same chart isn't fetched again: one Subscription brings it to many clusters."""
_KEPT = 16
_KEPT_BYTES = 64 * 2**20
"""Archives kept at the same time, and their bytes in all."""
_MANIFEST_TYPES = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"
_CHART_TYPE = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
_ARCHIVE = "the chart's archive"
_REDIRECTS = 5
_DIGEST = re.compile(r"[a-z0-9]+:[0-9a-fA-F]{32,128}")
_TOKEN = re.compile(r"[\x21-\x7e]{1,32768}")
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')

T = TypeVar("T")

log = logging.getLogger(__name__)


class RepositoryFailed(Exception):
    """A repository gives no usable answer; the text says which and why.

    It becomes part of a status that others read, so it holds nothing of what a server answered but its status code:
    no content, no header, no URL that an answer refers to, no address that a name resolves to.
    """


@dataclass(frozen=True, slots=True)
class Credential:
    """How to log in to a repository; `ca_certificate` (PEM) signs its server, None means the system's trust store."""

    username: str = ""
    password: str = field(default="", repr=False)
    ca_certificate: bytes | None = None

    @property
    def basic(self) -> aiohttp.BasicAuth | None:
        """The credential as HTTP knows it."""
        return aiohttp.BasicAuth(self.username, self.password) if self.username or self.password else None


class Repositories:
    """Finds and fetches charts.

    Archives are kept for a moment and asked for once, however many releases need them at the same time.

    Args:
        rule: says which addresses repositories may have, and all that they refer to.
    """

    def __init__(self, rule: AddressRule) -> None:
        self._rule = rule
        self._threads = Threads("repositories")
        self._kept: dict[tuple[Any, ...], tuple[float, asyncio.Task[bytes]]] = {}

    async def look(self, spec: Object, credential: Credential) -> None:
        """See that a repository has the chart a HelmChart means.

        Raises:
            ChartMissing: it doesn't have it.
            RepositoryFailed: it gives no answer.
        """

        async def locate(access: _Access) -> None:
            if is_oci(spec):
                await access.tag(oci_chart(spec), _version(spec))
            else:
                await access.entry(spec)

        await _within(LOOK_TIMEOUT, spec, credential, self._rule, self._threads, locate)

    async def fetch(self, spec: Object, credential: Credential) -> bytes:
        """Return the archive of a chart.

        Raises:
            ChartMissing: the repository doesn't have it.
            RepositoryFailed: it gives no answer, or a wrong one.
        """
        key = (spec["repo"], spec["chart"], _version(spec), bool(spec.get("plainHTTP")), credential)
        now = time.monotonic()
        self._kept = {one: kept for one, kept in self._kept.items() if kept[0] > now}
        if key not in self._kept:
            while len(self._kept) >= _KEPT:
                self._kept.pop(next(iter(self._kept)))
            work = _within(
                _FETCH_TIMEOUT, spec, credential, self._rule, self._threads, lambda access: access.archive(spec)
            )
            fetching = asyncio.create_task(work)
            self._kept[key] = now + _KEPT_FOR, fetching
            fetching.add_done_callback(self._fetched)
            asyncio.get_running_loop().call_later(_KEPT_FOR, self._forget, key, fetching)
        task = self._kept[key][1]
        try:
            return await asyncio.shield(task)
        except (ChartMissing, RepositoryFailed):
            self._forget(key, task)
            raise

    def _forget(self, key: tuple[Any, ...], task: asyncio.Task[bytes]) -> None:
        if self._kept.get(key, (0.0, None))[1] is task:
            del self._kept[key]

    def _fetched(self, latest: asyncio.Task[bytes]) -> None:
        """Drop the oldest archives when all of them together have become too large."""
        sizes = {
            key: len(task.result())
            for key, (_, task) in self._kept.items()
            if task.done() and not task.cancelled() and task.exception() is None
        }
        for key in list(sizes):
            if sum(sizes.values()) <= _KEPT_BYTES or self._kept[key][1] is latest:
                break
            del sizes[key]
            del self._kept[key]


def _version(spec: Object) -> str:
    return str(spec.get("version") or "").strip()


async def _within(
    seconds: float,
    spec: Object,
    credential: Credential,
    rule: AddressRule,
    threads: Threads,
    work: Callable[[_Access], Awaitable[T]],
) -> T:
    """Do something with a repository in limited time, with its errors in words."""
    repo = str(spec["repo"])
    try:
        context = verifying_context(credential.ca_certificate or None)
    except ssl.SSLError:
        raise RepositoryFailed(f"the CA certificate for {repo} is not PEM") from None
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_TIMEOUT)
    try:
        async with (
            asyncio.timeout(seconds),
            aiohttp.ClientSession(connector=JudgedConnector(rule, ssl=context), timeout=timeout) as session,
        ):
            return await work(_Access(session, repo, credential, threads))
    except AddressRefused as error:
        log.warning("%s: %s", repo, error)
        raise RepositoryFailed(
            f"{repo} is at, or leads to, an address of this host or link, which isn't allowed; {rule.option} allows it"
        ) from None
    except aiohttp.ClientConnectorCertificateError as error:
        raise RepositoryFailed(f"{repo}: its certificate can't be verified{_verdict(error)}") from None
    except TimeoutError:
        raise RepositoryFailed(f"{repo} did not answer within {seconds:.0f} s") from None
    except aiohttp.InvalidURL:
        raise RepositoryFailed(f"{repo} is not a URL, or refers to something that is none") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        log.info("%s: %s", repo, printable(str(error)) or type(error).__name__)
        raise RepositoryFailed(f"{repo} can't be reached; the log of this program says more") from None


class _Access:
    """Requests to one repository; redirects are followed, each judged like the first request."""

    def __init__(self, session: aiohttp.ClientSession, repo: str, credential: Credential, threads: Threads) -> None:
        self._session = session
        self._repo = repo
        self._threads = threads
        self._credential = credential
        self._authorization = ""

    async def entry(self, spec: Object) -> tuple[str, str]:
        """Return URL and digest of a chart's archive in an HTTP repository."""
        text = await self._get(index_url(self._repo), "its index", _INDEX_LIMITS.size)
        wanted = text, self._repo, str(spec["chart"]), _version(spec)
        found = await self._threads.run(self._repo, _FETCH_TIMEOUT, _find, *wanted)
        return found.url, found.digest

    async def archive(self, spec: Object) -> bytes:
        if is_oci(spec):
            return await self._oci_archive(oci_chart(spec), _version(spec))
        url, digest = await self.entry(spec)
        if url.startswith("oci://"):
            raise self._failed("its index refers to an OCI registry; name that registry as the repo itself")
        return self._verified(await self._get(url, _ARCHIVE, _ARCHIVE_LIMIT), digest)

    async def tag(self, chart: OciChart, version: str) -> str:
        """Return the tag of a version in an OCI registry."""
        if not version:
            return find_tag((), chart, version)
        tags: list[str] = []
        url: str | None = f"{chart.url}/tags/list?n=1000"
        while url:
            async with self._oci(url, chart, "its list of tags") as answer:
                if answer.status == 404:
                    raise ChartMissing(f"{chart.host} has no chart {chart.name}")
                body = self._json(await self._body(answer, "its list of tags", _ANSWER_LIMIT), "its list of tags")
                listed = body.get("tags")
                tags += [tag for tag in listed if isinstance(tag, str)] if isinstance(listed, list) else []
                if len(tags) > OBJECT.nodes:
                    raise self._failed(f"{chart.name} has more than {OBJECT.nodes} tags")
                url = _next_page(answer)
        return find_tag(tags, chart, version)

    async def _oci_archive(self, chart: OciChart, version: str) -> bytes:
        tag = await self.tag(chart, version)
        headers = {"Accept": _MANIFEST_TYPES}
        async with self._oci(f"{chart.url}/manifests/{tag}", chart, "the chart's manifest", headers) as answer:
            body = await self._body(answer, "the chart's manifest", _ANSWER_LIMIT)
        listed = self._json(body, "the chart's manifest").get("layers")
        layers = [layer for layer in listed if isinstance(layer, dict)] if isinstance(listed, list) else []
        digest = next((layer.get("digest") for layer in layers if layer.get("mediaType") == _CHART_TYPE), None)
        if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
            raise self._failed(f"what it has as {chart.name}:{tag} is no chart")
        async with self._oci(f"{chart.url}/blobs/{digest}", chart, _ARCHIVE) as answer:
            return self._verified(await self._body(answer, _ARCHIVE, _ARCHIVE_LIMIT), digest.removeprefix("sha256:"))

    async def _get(self, url: str, what: str, limit: int) -> bytes:
        basic = self._credential.basic
        authorization = basic.encode() if basic and same_origin(url, self._repo) else ""
        async with self._open(url, {}, authorization) as answer:
            self._check(answer, what)
            return await self._body(answer, what, limit)

    @asynccontextmanager
    async def _oci(
        self, url: str, chart: OciChart, what: str, headers: dict[str, str] | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request to a registry; logs in when it asks for that."""
        for attempt in (1, 2):
            authorization = self._authorization if same_origin(url, chart.url) else ""
            async with self._open(url, headers or {}, authorization) as answer:
                if answer.status == 401 and attempt == 1:
                    await self._log_in(answer, chart)
                    continue
                if answer.status != 404:
                    self._check(answer, what)
                yield answer
                return

    @asynccontextmanager
    async def _open(
        self, url: str, headers: dict[str, str], authorization: str
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request, and again to where it is redirected; only the first server gets the login."""
        first = url
        for _ in range(_REDIRECTS + 1):
            login = {"Authorization": authorization} if authorization and same_origin(url, first) else {}
            async with self._session.get(
                url, headers={**headers, **login}, allow_redirects=False, proxy=environment_proxy(url)
            ) as answer:
                location = answer.headers.get("Location", "")
                if answer.status not in (301, 302, 303, 307, 308) or not location:
                    yield answer
                    return
                url = urljoin(url, location)
                if not url.startswith(("https://", "http://")):
                    raise self._failed("it redirects to what is neither https nor http")
        raise self._failed(f"it redirects more than {_REDIRECTS} times")

    async def _log_in(self, refusal: aiohttp.ClientResponse, chart: OciChart) -> None:
        challenge = refusal.headers.get("WWW-Authenticate", "")
        scheme = challenge.partition(" ")[0].lower()
        basic = self._credential.basic
        if scheme == "basic":
            if basic is None:
                raise self._failed("it asks for a login; name one in chartPullSecret")
            self._authorization = basic.encode()
            return
        fields = dict(_CHALLENGE.findall(challenge))
        realm = fields.get("realm", "")
        if scheme != "bearer" or not realm.startswith(("https://", f"{chart.scheme}://")):
            raise self._failed("it asks for a login that is not understood")
        query = {"service": fields.get("service", ""), "scope": f"repository:{chart.name}:pull"}
        url = str(URL(realm).update_query(query))
        async with self._open(url, {}, basic.encode() if basic else "") as answer:
            self._check(answer, "its login")
            body = self._json(await self._body(answer, "its login", _ANSWER_LIMIT), "its login")
        token = body.get("token") or body.get("access_token")
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            raise self._failed("its login gives no token")
        self._authorization = f"Bearer {token}"

    def _failed(self, why: str) -> RepositoryFailed:
        return RepositoryFailed(f"{self._repo}: {why}")

    def _check(self, answer: aiohttp.ClientResponse, what: str) -> None:
        match answer.status:
            case 401 | 403:
                raise self._failed(f"{what}: {answer.status}: the login of chartPullSecret is missing or refused")
            case 404:
                raise self._failed(f"{what}: 404: there is no chart repository, or no such file")
            case status if status != 200:
                raise self._failed(f"{what}: the server answers {status}")

    async def _body(self, answer: aiohttp.ClientResponse, what: str, limit: int) -> bytes:
        body = io.BytesIO()  # grows in place, and gives its content away without a copy
        async for chunk in answer.content.iter_any():
            if body.tell() + len(chunk) > limit:
                raise self._failed(f"{what}: more than {limit // 2**20} MiB")
            body.write(chunk)
        return body.getvalue()

    def _json(self, text: bytes, what: str) -> Object:
        try:
            body = read_json(text)
        except DocumentError as error:
            raise self._failed(f"{what}: the answer is {error}") from None
        if not isinstance(body, dict):
            raise self._failed(f"{what}: the answer is not a JSON object")
        return body

    def _verified(self, archive: bytes, digest: str) -> bytes:
        if digest and hashlib.sha256(archive).hexdigest() != digest:
            raise self._failed(f"{_ARCHIVE}: its content doesn't have the digest that the repository tells")
        return archive


def _find(text: bytes, repo: str, chart: str, version: str) -> IndexEntry:
    """Return the chart in the text of an index, which is read as YAML even if it is JSON: only so memory is bounded."""
    try:
        index = read_part(text, ("entries", chart), _INDEX_LIMITS)
    except DocumentError as error:
        raise ChartMissing(f"{index_url(repo)} is not the index of a chart repository: it is {error}") from None
    return find_in_index(index, repo, chart, version)


def _verdict(error: aiohttp.ClientConnectorCertificateError) -> str:
    """Return what OpenSSL found wrong with a certificate, in its own fixed words."""
    found = error.certificate_error
    return f": {found.verify_message}" if isinstance(found, ssl.SSLCertVerificationError) else ""


def _next_page(answer: aiohttp.ClientResponse) -> str | None:
    link = answer.links.get("next")
    return urljoin(str(answer.url), str(link["url"])) if link else None
