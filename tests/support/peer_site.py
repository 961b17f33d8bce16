"""Several hubs on one parent, each asked directly or through the parent's API server."""

import asyncio
import json
import re
import ssl
from pathlib import Path

import aiohttp
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.resources import API_SERVICES, LEASES, SOCKETS, Object
from clusternet_engine.model.constants import PEER_LEASE_PREFIX
from clusternet_lab import Lab
from clusternet_lab.ports import reserve
from hub_site import SYSTEM, HubProcess, eventually, install_api_services, serves
from tunnel_site import GATES

_SESSIONS = re.compile(r'^clusternet_hub_peers\{dialled_by="(\w+)"\} (\d+)', re.MULTILINE)
_API_SERVICE = f"{SOCKETS.version}.{SOCKETS.group}"


class PeerHub:
    """One of several hubs.

    Args:
        lab: on whose parent it works.
        kubeconfig: of the hub's account.
        log: file, also of those that started in its place before.
        flags: beside those of every hub.
    """

    def __init__(self, lab: Lab, kubeconfig: Path, log: Path, flags: tuple[str, ...]) -> None:
        self._pki = lab.cluster("parent").layout.pki
        self._kubeconfig = kubeconfig
        self._log = log
        self._flags = flags
        self.port, self.peer_port = reserve(log.parent, 2)
        self.start()

    def start(self) -> None:
        self.process = HubProcess(
            self._kubeconfig,
            self._log,
            "--bind-address=127.0.0.1",
            f"--secure-port={self.port}",
            f"--peer-port={self.peer_port}",
            f"{GATES},Deployer=true",
            "--authorization-always-allow-paths=/healthz,/readyz,/livez,/metrics",
            *self._flags,
        )

    @property
    def log(self) -> str:
        return self.process.log

    @property
    def leads(self) -> bool:
        """Whether it runs the controllers, or did until it ended."""
        return self.process.leads

    def caller(self, child_token: str = "") -> aiohttp.ClientSession:
        """Return HTTP to this very hub as the parent's API server speaks it, for the user `clusternet`."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.load_cert_chain(self._pki / "front-proxy-client.crt", self._pki / "front-proxy-client.key")
        headers = {"X-Remote-User": "clusternet", "X-Remote-Extra-Clusternet-Token": child_token}
        connector = aiohttp.TCPConnector(ssl=context, limit=0)
        return aiohttp.ClientSession(f"https://127.0.0.1:{self.port}", connector=connector, headers=headers)

    async def sessions(self) -> dict[str, int]:
        """Return how many sessions with peers there are, by who has dialled: `self` or `peer`."""
        async with self.caller() as caller, caller.get("/metrics") as answer:
            return {who: int(number) for who, number in _SESSIONS.findall(await answer.text())}


class PeerSite:
    """Several hubs.

    Args:
        lab: on whose parent they work.
        parent: client of its administrator.
        kubeconfig: of the hubs' account.
        folder: for logs.
    """

    def __init__(self, lab: Lab, parent: Client, kubeconfig: Path, folder: Path) -> None:
        self._lab = lab
        self._parent = parent
        self._kubeconfig = kubeconfig
        self._folder = folder
        self.hubs: list[PeerHub] = []

    async def start(self, number: int, *flags: str) -> list[PeerHub]:
        """Start hubs, wait until each is connected with all others, and let the parent ask the first one."""
        for _ in range(number):
            log = self._folder / f"hub-{len(self.hubs)}.log"
            self.hubs.append(PeerHub(self._lab, self._kubeconfig, log, flags))
        await self.meshed(*self.hubs)
        await self.ask(self.hubs[0])
        return self.hubs

    async def meshed(self, *hubs: PeerHub) -> None:
        """Wait until each of these hubs is ready and connected with all others, and with no more."""
        await asyncio.gather(*(serves(hub.port) for hub in hubs))
        await self.connected(*hubs)

    async def connected(self, *hubs: PeerHub) -> None:
        """Wait until each of these hubs is connected with all others, and with no more."""
        wanted = {"self": len(hubs) - 1, "peer": len(hubs) - 1} if len(hubs) > 1 else {}

        async def counted() -> bool:
            found = await asyncio.gather(*(hub.sessions() for hub in hubs))
            return all({who: number for who, number in one.items() if number} == wanted for one in found)

        await eventually(counted, why=f"{len(hubs)} hubs are connected with each other")

    async def ask(self, hub: PeerHub) -> None:
        """Let the parent's API server pass new requests and websockets on to this hub."""
        await install_api_services(self._parent, hub.port, SOCKETS.group)
        service = await self._parent.get(API_SERVICES, _API_SERVICE)
        assert service["spec"]["service"]["port"] == hub.port

    async def leases(self) -> dict[str, Object]:
        """Return what the Leases of hubs tell, by name; nothing where nobody holds one."""
        found = (await self._parent.list(LEASES, SYSTEM)).items
        ours = [lease for lease in found if lease["metadata"]["name"].startswith(PEER_LEASE_PREFIX)]
        return {lease["metadata"]["name"]: json.loads(lease["spec"].get("holderIdentity") or "{}") for lease in ours}

    async def advert(self, hub: PeerHub) -> Object:
        """Return what the Lease of a hub tells."""

        async def found() -> Object | None:
            told = [one for one in (await self.leases()).values() if one.get("port") == hub.peer_port]
            return told[-1] if told else None

        advert = await eventually(found)
        assert advert is not None
        return advert

    async def end(self) -> None:
        """End all hubs and remove their Leases, which a next hub would do."""
        for hub in self.hubs:
            hub.process.end()
        for name in await self.leases():
            await self._parent.delete(LEASES, name, SYSTEM)
