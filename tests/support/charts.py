"""Chart repositories on this machine: over HTTP and as an OCI registry, with a login or without, and broken ones."""

import base64
import hashlib
import io
import json
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import yaml

CHARTS = Path(__file__).parents[2] / "examples" / "charts"
_CONFIG_TYPE = "application/vnd.cncf.helm.config.v1+json"
_LAYER_TYPE = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"


def package(folder: Path, **metadata: Any) -> tuple[dict[str, Any], bytes]:
    """Return the metadata and the archive of a chart, as `helm package` makes it.

    Args:
        folder: of the chart.
        metadata: fields of its Chart.yaml that are to be others.
    """
    chart = yaml.safe_load((folder / "Chart.yaml").read_text()) | metadata
    files = {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
    return chart, pack(chart, {str(name): content for name, content in files.items()})


def pack(chart: dict[str, Any], files: dict[str, bytes]) -> bytes:
    """Return the archive of a chart made of these files."""
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w:gz") as archive:
        for name, content in ({"Chart.yaml": b""} | files | {"Chart.yaml": yaml.safe_dump(chart).encode()}).items():
            member = tarfile.TarInfo(f"{chart['name']}/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return output.getvalue()


class _Server(ThreadingHTTPServer):
    """Lets many wait to be let in: charts of several tests are looked up at the same time."""

    daemon_threads = True
    request_queue_size = 128


class ChartServer:
    """Serves charts below `/charts` as an HTTP repository and below `/v2` as an OCI registry; use it in `with`.

    Below `/broken` every answer is 500, below `/silent` there is none until the server ends.

    Args:
        login: user and password that it asks for, if any; the registry hands out tokens for them.
    """

    def __init__(self, login: tuple[str, str] | None = None) -> None:
        self.login = login
        self.requests: list[str] = []
        self.logins: list[str] = []
        self._charts: dict[tuple[str, str], tuple[dict[str, Any], bytes]] = {}
        self._ending = threading.Event()
        self._server = _Server(("127.0.0.1", 0), self._handler())

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._server.shutdown()
        self._server.server_close()

    def add(self, chart: dict[str, Any], archive: bytes) -> None:
        """Serve a chart."""
        self._charts[chart["name"], chart["version"]] = chart, archive

    def add_example(self, name: str, *versions: str) -> None:
        """Serve a chart of the examples, in its own version or in these."""
        for version in versions:
            self.add(*package(CHARTS / name, version=version))
        if not versions:
            self.add(*package(CHARTS / name))

    def remove(self, name: str, version: str) -> None:
        """Serve a chart no longer."""
        del self._charts[name, version]

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    @property
    def repo(self) -> str:
        """The HTTP repository."""
        return f"http://{self.host}/charts"

    @property
    def oci(self) -> str:
        """The OCI registry; it needs `plainHTTP`."""
        return f"oci://{self.host}/helm-charts"

    @property
    def broken(self) -> str:
        """A repository that fails."""
        return f"http://{self.host}/broken"

    @property
    def silent(self) -> str:
        """A repository that never answers."""
        return f"http://{self.host}/silent"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                server.requests.append(self.path)
                if login := self.headers.get("Authorization"):
                    server.logins.append(login)
                url = urlsplit(self.path)
                if url.path.startswith("/silent"):
                    server._ending.wait()
                    self.close_connection = True
                    return
                status, headers, body = server._answer(url.path, self.headers.get("Authorization", ""), url.query)
                self.send_response(status)
                for name, value in ({"Content-Length": str(len(body))} | headers).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    def _answer(self, path: str, authorization: str, query: str) -> tuple[int, dict[str, str], bytes]:
        if path.startswith("/broken"):
            return 500, {}, b"broken"
        if path == "/token":
            if authorization != self._basic():
                return 401, {}, b""
            return 200, {}, json.dumps({"token": self._token(parse_qs(query)["scope"][0])}).encode()
        if path.startswith("/v2/"):
            return self._registry(path, authorization)
        if self.login and authorization != self._basic():
            return 401, {"WWW-Authenticate": "Basic"}, b""
        if path == "/charts/index.yaml":
            return 200, {}, self._index()
        for (name, version), (_, archive) in self._charts.items():
            if path == f"/charts/{name}-{version}.tgz":
                return 200, {}, archive
        return 404, {}, b""

    def _basic(self) -> str:
        user, password = self.login or ("", "")
        return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()

    @staticmethod
    def _token(scope: str) -> str:
        return hashlib.sha256(scope.encode()).hexdigest()

    def _index(self) -> bytes:
        entries: dict[str, list[dict[str, Any]]] = {}
        for (name, version), (chart, archive) in self._charts.items():
            entry = {**chart, "urls": [f"{name}-{version}.tgz"], "digest": hashlib.sha256(archive).hexdigest()}
            entries.setdefault(name, []).append(entry)
        return yaml.safe_dump({"apiVersion": "v1", "entries": entries}).encode()

    def _registry(self, path: str, authorization: str) -> tuple[int, dict[str, str], bytes]:
        image, _, rest = path.removeprefix("/v2/").partition("/tags/")
        if not rest:
            image, _, rest = path.removeprefix("/v2/").partition("/manifests/")
        if not rest:
            image = path.removeprefix("/v2/").partition("/blobs/")[0]
        if self.login and authorization != f"Bearer {self._token(f'repository:{image}:pull')}":
            challenge = f'Bearer realm="http://{self.host}/token",service="{self.host}"'
            return 401, {"WWW-Authenticate": challenge}, b""
        name = image.removeprefix("helm-charts/")
        charts = {version: archive for (one, version), (_, archive) in self._charts.items() if one == name}
        if not charts:
            return 404, {}, b"{}"
        if path.endswith("/tags/list"):
            tags = ["latest", "v0.1.0", *(version.replace("+", "_") for version in charts)]
            return 200, {}, json.dumps({"name": image, "tags": tags}).encode()
        if "/manifests/" in path:
            archive = charts.get(path.rpartition("/")[2].replace("_", "+"))
            if archive is None:
                return 404, {}, b"{}"
            digest = f"sha256:{hashlib.sha256(archive).hexdigest()}"
            layer = {"mediaType": _LAYER_TYPE, "digest": digest, "size": len(archive)}
            manifest = {"schemaVersion": 2, "config": {"mediaType": _CONFIG_TYPE}, "layers": [layer]}
            return 200, {}, json.dumps(manifest).encode()
        for archive in charts.values():
            if path.endswith(hashlib.sha256(archive).hexdigest()):
                return 200, {}, archive
        return 404, {}, b""
