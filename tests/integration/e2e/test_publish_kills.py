"""Hub, agents and API servers are killed while applications are published, changed and withdrawn (issue 4, row 3).

In every round each of ten Subscriptions to both children (one is pushed to, the other pulls) is created, changed or
deleted at random while the victims die. Afterwards each child must hold exactly the wanted objects, and the parent
exactly one Base and one Description for each Subscription and child. Two of the Subscriptions have one ConfigMap in
common, which must outlive the end of either alone. ``CLUSTERNET_TEST_SEED`` repeats a run.
"""

import os
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest
import urllib3
from api import Answer, Api
from chaos import QUICK_ELECTION, disturb, plan
from deployment import Deployment
from programs import Programs
from publishing import manifest_of

ROUNDS = 20
SUBSCRIPTIONS, SHARING = 10, 2
SHARED = {"shared": "the same for all"}
WINDOW = 2.0  # seconds after its start in which a round is disturbed
ROUND_TIMEOUT = 90.0
CHILDREN = ("child1", "child2")
CLUSTER_NAMES = ("parent", *CHILDREN)
NAMESPACE = "publish-kills"
SUBSCRIPTION_UID = "apps.clusternet.io/subs.uid"
SUBSCRIPTION_NAMESPACE = "apps.clusternet.io/subs.namespace"
CLUSTER_NAME = "clusters.clusternet.io/cluster-name"
OURS = "test=publish-kills"
APPS = "/apis/apps.clusternet.io/v1alpha1"
MANIFESTS = f"{APPS}/namespaces/clusternet-reserved/manifests"
SUBSCRIPTIONS_PATH = f"{APPS}/namespaces/{NAMESPACE}/subscriptions"


@dataclass
class Application:
    """What is wanted of one Subscription: its ConfigMaps with their values; None when it isn't there."""

    name: str
    shares: bool = False
    values: dict[str, str] | None = None
    used: set[str] = field(default_factory=set)

    def config_maps(self) -> list[dict[str, Any]]:
        return [config_map(name, value) for name, value in sorted((self.values or {}).items())]

    def body(self) -> dict[str, Any]:
        feeds = [
            {"apiVersion": "v1", "kind": "ConfigMap", "namespace": "default", "name": name}
            for name in sorted(self.values or {})
        ]
        return {
            "apiVersion": "apps.clusternet.io/v1alpha1",
            "kind": "Subscription",
            "metadata": {"name": self.name, "namespace": NAMESPACE},
            "spec": {
                "subscribers": [{"clusterAffinity": {"matchLabels": {}}}],
                "clusterTolerations": [{"key": "clusters.clusternet.io/unschedulable", "operator": "Exists"}],
                "feeds": feeds,
            },
        }


def config_map(name: str, value: str) -> dict[str, Any]:
    labels = dict([OURS.split("=")])
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "default", "labels": labels},
        "data": {"value": value},
    }


class Publisher:
    """Tells a parent that may be away for moments what is wanted, again and again until it has heard it."""

    def __init__(self, parent: Api) -> None:
        self._parent = parent

    def publish(self, application: Application, values: dict[str, str]) -> None:
        """Create or change an application."""
        application.values = values
        application.used |= set(values)
        for body in application.config_maps():
            self._put(MANIFESTS, manifest_of(body))
        self._put(SUBSCRIPTIONS_PATH, application.body())

    def withdraw(self, application: Application) -> None:
        """Delete an application's Subscription."""
        application.values = None
        self._send("DELETE", f"{SUBSCRIPTIONS_PATH}/{application.name}", None, {200, 202, 404})

    def _put(self, path: str, body: dict[str, Any]) -> None:
        name = body["metadata"]["name"]
        self._send(
            "PATCH",
            f"{path}/{name}",
            body,
            {200, 201},
            content_type="application/apply-patch+yaml",
            fieldManager="test",
        )

    def _send(self, method: str, path: str, body: Any, wanted: set[int], **options: str) -> None:
        deadline = time.monotonic() + ROUND_TIMEOUT
        while True:
            answer: Answer | Exception
            try:
                answer = self._parent(method, path, body, **options)
                if answer.status in wanted:
                    return
            except urllib3.exceptions.HTTPError as error:
                answer = error
            assert time.monotonic() < deadline, answer
            time.sleep(0.1)


def change(generator: random.Random, publisher: Publisher, application: Application) -> None:
    """Do to an application whatever comes next: publish, change or withdraw it."""
    if application.values and generator.random() < 0.4:
        publisher.withdraw(application)
        return
    names = [f"{application.name}-{letter}" for letter in "abc"]
    chosen = generator.sample(names, generator.randint(1, 3))
    values = {name: str(generator.random()) for name in chosen}
    publisher.publish(application, values | SHARED if application.shares and generator.random() < 0.7 else values)


def settled(deployment: Deployment, applications: list[Application]) -> Callable[[], bool]:
    """Return the condition that everything is as wanted, nowhere more and nowhere less."""
    wanted = {name: value for item in applications for name, value in (item.values or {}).items()}
    live = {item.name for item in applications if item.values}

    def condition() -> bool:
        for child in CHILDREN:
            found = deployment.children[child].items("/api/v1/namespaces/default/configmaps", labelSelector=OURS)
            there = {item["metadata"]["name"]: item["data"]["value"] for item in found}
            assert there == wanted, f"{child}: {differences(there, wanted)}"
        subscriptions = {item["metadata"]["uid"]: item["metadata"]["name"] for item in subscribed(deployment)}
        assert set(subscriptions.values()) == live
        for kind in ("bases", "descriptions"):
            labels = [item["metadata"]["labels"] for item in deployment.parent.items(f"{APPS}/{kind}")]
            places = sorted(
                (subscriptions.get(label[SUBSCRIPTION_UID], "of a deleted one"), label[CLUSTER_NAME])
                for label in labels
                if label[SUBSCRIPTION_NAMESPACE] == NAMESPACE
            )
            assert places == sorted((name, child) for name in live for child in CHILDREN), kind
        return True

    return condition


def differences(there: dict[str, str], wanted: dict[str, str]) -> str:
    missing, extra = sorted(wanted.keys() - there), sorted(there.keys() - wanted)
    stale = sorted(name for name in wanted.keys() & there if wanted[name] != there[name])
    return f"missing {missing}, too many {extra}, old {stale}"


def subscribed(deployment: Deployment) -> list[dict[str, Any]]:
    return deployment.parent.items(SUBSCRIPTIONS_PATH)


@pytest.fixture
def programs(deployment):
    programs = Programs(deployment, QUICK_ELECTION)
    for name in CLUSTER_NAMES:
        programs.start(name)
    deployment.parent("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    yield programs
    deployment.lab.wait_ready()
    programs.end()


@pytest.mark.timeout(2400)
def test_kills_while_publishing(deployment, programs, wait_for):
    seed = int(os.environ.get("CLUSTERNET_TEST_SEED") or random.SystemRandom().randrange(2**32))
    print(f"CLUSTERNET_TEST_SEED={seed}")
    generator = random.Random(seed)
    publisher = Publisher(deployment.parent)
    applications = [Application(f"app-{number}", shares=number < SHARING) for number in range(SUBSCRIPTIONS)]
    for number in range(ROUNDS):
        victims = ("parent", generator.choice(CHILDREN), f"kube-apiserver of {generator.choice(CLUSTER_NAMES)}")
        kills = plan(generator, victims, WINDOW)
        print(f"round {number}: {', '.join(map(str, kills))}", flush=True)
        with ThreadPoolExecutor(1) as background:
            disturbance = background.submit(disturb, deployment, programs, kills)
            for application in applications:
                change(generator, publisher, application)
                time.sleep(generator.uniform(0, WINDOW / SUBSCRIPTIONS))
            disturbance.result()
        why = f"round {number} (seed {seed}): not as wanted"
        wait_for(settled(deployment, applications), timeout=ROUND_TIMEOUT, why=why)
    for application in applications:
        publisher.withdraw(application)
    wait_for(settled(deployment, applications), timeout=ROUND_TIMEOUT, why=f"the end (seed {seed}): not as wanted")
    for name in set().union(*(application.used for application in applications)):
        deployment.parent("DELETE", f"{MANIFESTS}/configmaps.default.{name}")
    wait_for(
        lambda: not deployment.parent.items(MANIFESTS, labelSelector=OURS), why="Manifests can't be deleted at the end"
    )
