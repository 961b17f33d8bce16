"""What honest users and clusters do all the while: publish, reach a child, register; and what they notice."""

import threading
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

from attacks.caller import Caller
from attacks.paths import CLUSTERS, CORE, RBAC, REQUESTS, SHADOW, within

PATIENCE = 20.0
"""Seconds after which somebody honest gives up."""
PAUSE = 0.5
"""Seconds from one published value to the next, at least."""
NAME = "honest"
OBSERVED = "observed"
"""Another ConfigMap that is published to the honest child, for a second honest user."""
CLUSTER_ID, EMPTIED = "clusters.clusternet.io/cluster-id", "ground.emptied"
"""Labels of the namespaces of clusters, and of those that nobody is registered in any more."""


@dataclass
class Notes:
    """How long things took, in seconds, and what went wrong."""

    published: list[float] = field(default_factory=list)
    reached: list[float] = field(default_factory=list)
    registered: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


class Honest:
    """Publishes a new value twice a second and waits for it on the child; sometimes a cluster registers.

    Args:
        parent: the administrator of the parent.
        child: the administrator of the honest child.
        registrant: the holder of a bootstrap token.
        proxy: path of the child behind its tunnel.
        headers: by which the administrator is somebody on the child.
        every: registers a cluster with every so many values.
        name: of the ConfigMap in namespace `default` that is published; nobody else may change it.
    """

    def __init__(
        self,
        parent: Caller,
        child: Caller,
        registrant: Caller,
        proxy: str,
        headers: dict[str, str],
        every: int = 10,
        name: str = NAME,
    ) -> None:
        self._parent, self._child, self._registrant = parent, child, registrant
        self._proxy, self._headers = proxy, headers
        self._every = every
        self._name = name
        self.notes = Notes()
        self.rounds = 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin; the Subscription that publishes its ConfigMap must be there."""
        self._thread.start()

    def stop(self) -> None:
        """End after the round that is under way."""
        self._end.set()
        self._thread.join(PATIENCE * 4)

    def passes(self, rounds: int = 2) -> None:
        """Wait until that many values, published from now on, have arrived: the hub has gone through its work."""
        wanted, deadline = self.rounds + rounds, time.monotonic() + PATIENCE * 2
        while self.rounds < wanted:
            self.check()
            assert self._thread.is_alive(), "nobody honest is left"
            assert time.monotonic() < deadline, f"honest publishing stands still; {self.notes.failures[-3:]}"
            time.sleep(0.05)

    def check(self) -> None:
        """Make sure that nothing was noticed so far."""
        assert not self.notes.failures, self.notes.failures

    def _run(self) -> None:
        while not self._end.is_set():
            began = time.monotonic()
            for act in (self._publish, self._reach, *([self._register] if self.rounds % self._every == 0 else [])):
                try:
                    act()
                except (AssertionError, OSError) as error:
                    self.notes.failures.append(f"{time.strftime('%H:%M:%S')} {act.__name__}: {error!r:.500}")
            self.rounds += 1
            self._end.wait(max(0.0, began + PAUSE - time.monotonic()))

    def _publish(self) -> None:
        value, began = uuid.uuid4().hex, time.monotonic()
        self._parent.merge(within(SHADOW, "default", "configmaps", self._name), {"data": {"value": value}})
        path = within(CORE, "default", "configmaps", self._name)
        _until(lambda: self._child("GET", path).body.get("data", {}).get("value") == value, "the value arrives")
        self.notes.published.append(time.monotonic() - began)

    def _reach(self) -> None:
        began = time.monotonic()
        answer = self._parent("GET", f"{self._proxy}/version", headers=self._headers)
        assert answer.status == 200, f"the child answers {answer.status}: {answer.text[:200]}"
        self.notes.reached.append(time.monotonic() - began)

    def _register(self) -> None:
        identity, began = str(uuid.uuid4()), time.monotonic()
        name = f"clusternet-{identity}"
        spec = {"clusterId": identity, "clusterName": f"h-{identity[:8]}", "clusterType": "EdgeCluster"}
        self._registrant.create(REQUESTS, registration(name, **spec, syncMode="Pull"))
        path = f"{REQUESTS}/{name}"
        _until(lambda: status_of(self._parent.get(path)).get("result") == "Approved", "a cluster is approved")
        self.notes.registered.append(time.monotonic() - began)
        unregister(self._parent, name)


def unregister(parent: Caller, name: str) -> None:
    """Take back what has become of a request, but for the namespace and what is in it: they go when the ground goes.

    Kubernetes removes a namespace by some 170 requests, which no attacker can make it send.
    """
    status = status_of(parent("GET", f"{REQUESTS}/{name}").body)
    paths = [f"{REQUESTS}/{name}", *(f"{RBAC}/{plural}/{name}" for plural in ("clusterrolebindings", "clusterroles"))]
    if namespace := status.get("dedicatedNamespace"):
        paths.append(within(CLUSTERS, namespace, "managedclusters", status["managedClusterName"]))
        parent.merge(f"{CORE}/namespaces/{namespace}", {"metadata": {"labels": {CLUSTER_ID: None, EMPTIED: "yes"}}})
    for path in paths:
        parent("DELETE", path)


def registration(name: str, **spec: Any) -> dict[str, Any]:
    """Return a registration request."""
    return {
        "apiVersion": "clusters.clusternet.io/v1beta1",
        "kind": "ClusterRegistrationRequest",
        "metadata": {"name": name},
        "spec": spec,
    }


def status_of(obj: dict[str, Any]) -> dict[str, Any]:
    """Return the status of an object; empty if there is none."""
    return obj.get("status") or {}


def _until(condition: Any, why: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"{why}: not within {PATIENCE:g} s"
        time.sleep(0.05)
