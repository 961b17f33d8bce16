"""`ansible-inventory --list` beside its floor: the pages of a lean client, and a plugin that only adds hosts."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml
from audit import RequestCounter
from clusternet_lab import Cluster
from measure import Usage, cheapest, run

FLOOR = Path(__file__).parent / "floor"
PROGRAM = Path(sys.executable).with_name("ansible-inventory")


@dataclass(frozen=True)
class Listing:
    """What listing a fleet costs: here, cached, and the two parts of the floor; and the requests of the first two."""

    size: int
    ours: Usage
    requests: int
    cached: Usage
    cached_requests: int
    fetch: Usage
    bare: Usage

    @property
    def ratio(self) -> float:
        """CPU time over that of the floor."""
        return self.ours.cpu / (self.fetch.cpu + self.bare.cpu)


def listing(parent: Cluster, fleet: str, size: int, folder: Path, counter: RequestCounter, rounds: int) -> Listing:
    """Measure the listing of a fleet of ManagedClusters, in rounds that take turns."""
    source = folder / f"{fleet}.clusternet.yml"
    settings = {
        "plugin": "clusternet.core.managed_clusters",
        "kubeconfig": str(parent.kubeconfig),
        "label_selector": f"bench={fleet}",
    }
    source.write_text(yaml.safe_dump(settings))
    cached_source = folder / f"{fleet}-cached.clusternet.yml"
    cache = {"cache": True, "cache_plugin": "jsonfile", "cache_connection": str(folder / "cache")}
    cached_source.write_text(yaml.safe_dump({**settings, **cache}))

    output = folder / "list.json"
    counter.restart()
    run([PROGRAM, "-i", source, "--list"], stdout=output)
    requests = counter.count()
    hosts = json.loads(output.read_text())["_meta"]["hostvars"]
    if len(hosts) != size:
        raise RuntimeError(f"{len(hosts)} hosts are listed, not {size}")
    bare_source = folder / f"{fleet}.json"
    bare_source.write_text(json.dumps(hosts))
    bare_plugin = {"ANSIBLE_INVENTORY_PLUGINS": str(FLOOR), "ANSIBLE_INVENTORY_ENABLED": "bare"}
    run([PROGRAM, "-i", cached_source, "--list"])
    counter.restart()

    pki = parent.layout.pki
    fetch = [sys.executable, FLOOR / "fetch.py", parent.server, pki / "ca.crt", pki / "admin.crt", pki / "admin.key"]
    usages: dict[str, list[Usage]] = {"ours": [], "cached": [], "fetch": [], "bare": []}
    cached_requests = 0
    for _ in range(rounds):
        usages["fetch"].append(run([*fetch, fleet]))
        usages["bare"].append(run([PROGRAM, "-i", bare_source, "--list"], env=bare_plugin))
        usages["ours"].append(run([PROGRAM, "-i", source, "--list"]))
        counter.restart()
        usages["cached"].append(run([PROGRAM, "-i", cached_source, "--list"]))
        cached_requests = max(cached_requests, counter.count())
    best = {name: cheapest(taken) for name, taken in usages.items()}
    return Listing(
        size, best["ours"], requests, best["cached"], cached_requests, fetch=best["fetch"], bare=best["bare"]
    )
