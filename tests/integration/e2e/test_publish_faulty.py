"""A fault in one feed is told by the Subscription and by the module, and holds nothing else up (issue 4, row 5).

Every case publishes something faulty beside a ConfigMap that is right, to a child that is pushed to and one that pulls.
"""

import pytest
from charts import ChartServer
from deployment import Deployment
from play import run_tasks
from publishing import chart, config_map, feed_of, manifest_of

pytestmark = pytest.mark.usefixtures("nothing_is_forbidden")

CHILDREN = ("child1", "child2")
APPS = "/apis/apps.clusternet.io/v1alpha1"
MANIFESTS = f"{APPS}/namespaces/clusternet-reserved/manifests"
NAMESPACE = "default"
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"


class Publication:
    """One Subscription by the module, its feeds by the API, and what became of them."""

    def __init__(self, deployment: Deployment, name: str, folder) -> None:
        self.deployment = deployment
        self.name = name
        self.folder = folder
        self.good = config_map(f"good-{name[:40]}", value="right")
        self._paths: list[str] = []
        self._create(MANIFESTS, manifest_of(self.good))

    def _create(self, path: str, body: dict) -> None:
        answer = self.deployment.parent("POST", path, body)
        assert answer.status == 201, answer
        self._paths.insert(0, f"{path}/{body['metadata']['name']}")

    def manifest(self, body: dict, plural: str | None = None) -> dict:
        """Store a native object and return its feed."""
        self._create(MANIFESTS, manifest_of(body, plural=plural))
        return feed_of(body)

    def chart(self, body: dict) -> dict:
        """Store a HelmChart and return its feed."""
        self._create(f"{APPS}/namespaces/{NAMESPACE}/helmcharts", body)
        return feed_of(body)

    def globalization(self, feed: dict, *overrides: dict) -> None:
        """Store an override of a feed."""
        body = {
            "apiVersion": "apps.clusternet.io/v1alpha1",
            "kind": "Globalization",
            "metadata": {"name": f"override-{self.name}"},
            "spec": {"overridePolicy": "ApplyNow", "overrides": list(overrides), "feed": feed},
        }
        self._create(f"{APPS}/globalizations", body)

    def subscribe(self, *feeds: dict, timeout: int = 40) -> dict:
        """Publish the good ConfigMap and these feeds, wait for `deployed`; return the module's answer."""
        self._paths.insert(0, f"{APPS}/namespaces/{NAMESPACE}/subscriptions/{self.name}")
        options = {
            "subscriptions": [
                {
                    "name": self.name,
                    "namespace": NAMESPACE,
                    "subscribers": [{"cluster_affinity": {}}],
                    "feeds": [
                        {{"apiVersion": "api_version"}.get(key, key): value for key, value in feed.items()}
                        for feed in (feed_of(self.good), *feeds)
                    ],
                }
            ],
            "wait_for": "deployed",
            "wait_timeout": timeout,
        }
        kubeconfig = str(self.deployment.lab.cluster("parent").kubeconfig)
        [result] = run_tasks([{"clusternet.core.subscription": options}], kubeconfig, self.folder).results
        return result

    def reasons(self) -> str:
        """Return what the conditions of the Subscription say that isn't as it should be."""
        status = self.deployment.parent.get(self._paths[0]).get("status", {})
        wrong = [item for item in status.get("conditions", []) if item["status"] != "True"]
        return "; ".join(f"{item['type']} {item['reason']}: {item['message']}" for item in wrong)

    def good_one_is_there(self) -> bool:
        """Return whether the ConfigMap that is right has reached both children."""
        return all(
            self.deployment.children[child]("GET", f"{CONFIG_MAPS}/{self.good['metadata']['name']}").status == 200
            for child in CHILDREN
        )

    def withdraw(self) -> None:
        """Remove everything again."""
        for path in self._paths:
            self.deployment.parent("DELETE", path)


@pytest.fixture
def publish(deployment, tmp_path, wait_for):
    """Makes a publication that is withdrawn at the end; nothing of it may be left then."""
    made: list[Publication] = []

    def make(name: str) -> Publication:
        made.append(Publication(deployment, name, tmp_path))
        return made[-1]

    yield make
    for publication in made:
        publication.withdraw()

        def nothing_is_left(publication: Publication = publication) -> bool:
            left = [
                item["metadata"]["name"]
                for kind in ("subscriptions", "bases", "descriptions", "helmreleases", "helmcharts", "manifests")
                for item in deployment.parent.items(f"{APPS}/{kind}")
                if publication.name[:40] in item["metadata"]["name"]
            ]
            assert not left, left
            assert not publication.good_one_is_there()
            return True

        wait_for(nothing_is_left, timeout=60, why=f"{publication.name} is withdrawn and something is left")


def told(publication: Publication, result: dict, *words: str) -> None:
    """Check that the module and the Subscription tell of a fault, and that the rest has gone on."""
    reasons = publication.reasons()
    assert result["failed"], result
    for word in words:
        assert word in result["msg"], (word, result["msg"], reasons)
        assert word in reasons, (word, reasons)
    assert publication.good_one_is_there()


@pytest.fixture(scope="module")
def charts():
    """A chart repository on this machine."""
    with ChartServer() as server:
        server.add_example("mysql")
        yield server


def test_a_chart_that_does_not_exist(publish, charts):
    publication = publish("no-chart")
    feed = publication.chart(chart("no-chart", repo=charts.repo, chart="nowhere", version="1.0.0"))
    result = publication.subscribe(feed)
    told(publication, result, "HelmChart default/no-chart", "nowhere")


def test_a_repository_that_fails(publish, charts):
    publication = publish("repo-500")
    feed = publication.chart(chart("repo-500", repo=charts.broken))
    result = publication.subscribe(feed)
    told(publication, result, "HelmChart default/repo-500", "500")


def test_a_repository_that_never_answers(publish, charts):
    publication = publish("repo-hangs")
    feed = publication.chart(chart("repo-hangs", repo=charts.silent))
    result = publication.subscribe(feed, timeout=60)
    told(publication, result, "HelmChart default/repo-hangs")


def test_an_override_that_does_not_fit(publish):
    publication = publish("bad-override")
    feed = publication.manifest(config_map("overridden-bad-override", value="x"))
    patch = '[{"op": "replace", "path": "/data/nothing/here", "value": 1}]'
    publication.globalization(feed, {"name": "wrong", "type": "JSONPatch", "value": patch})
    result = publication.subscribe(feed)
    told(publication, result, "override-bad-override", "ConfigMap default/overridden-bad-override")


def test_a_manifest_that_the_child_refuses(publish):
    publication = publish("refused")
    feed = publication.manifest(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "refused", "namespace": "default"},
            "spec": {"ports": [{"port": 99999}]},
        }
    )
    result = publication.subscribe(feed)
    told(publication, result, "refused", "99999")


def test_a_kind_that_the_child_lacks(publish):
    publication = publish("no-crd")
    body = {"apiVersion": "example.org/v1", "kind": "Widget", "metadata": {"name": "w-no-crd", "namespace": "default"}}
    result = publication.subscribe(publication.manifest(body))
    told(publication, result, "Widget", "example.org/v1")


def test_a_feed_that_is_missing(publish):
    publication = publish("no-feed")
    result = publication.subscribe(feed_of(config_map("missing-no-feed")))
    told(publication, result, "ConfigMap default/missing-no-feed")


def test_a_name_of_253_characters(publish):
    publication = publish("n" * 253)
    result = publication.subscribe()
    assert not result["failed"], result
    assert publication.good_one_is_there()


def test_5_megabytes_of_manifests(publish):
    publication = publish("five-megabytes")
    feeds = [
        publication.manifest(config_map(f"big-{number}-five-megabytes", value="x" * 900_000)) for number in range(6)
    ]
    result = publication.subscribe(*feeds)
    told(publication, result, "ConfigMap default/big-")
