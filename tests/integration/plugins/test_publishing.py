"""Publishing by modules against a hub, with clusters that have no agent: what one would do, the tests do."""

import base64
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.clusternet.core.plugins.module_utils.auth import connection_settings
from ansible_collections.clusternet.core.plugins.module_utils.client import Client
from ansible_collections.clusternet.core.plugins.module_utils.custom_objects import Items, Work, place_of
from ansible_collections.clusternet.core.plugins.module_utils.reconcile import Reconciler
from ansible_collections.clusternet.core.plugins.module_utils.resources import SUBSCRIPTIONS

APPS = "/apis/apps.clusternet.io/v1alpha1"
MERGE = "application/merge-patch+json"
pytestmark = pytest.mark.usefixtures("publishing_parent")


class Application:
    """A ConfigMap for one cluster without an agent."""

    def __init__(self, play: Callable[..., Any], parent: Client, namespace: str) -> None:
        self.name = f"t{uuid.uuid4().hex[:8]}"
        self.namespace = namespace
        self._play = play
        self._parent = parent
        self.definition = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": self.name, "namespace": "default"},
            "data": {"a": "b"},
        }
        self.subscription = {
            "name": self.name,
            "subscribers": [{"cluster_affinity": {"match_labels": {"site": self.name}}}],
            "feeds": [{"api_version": "v1", "kind": "ConfigMap", "namespace": "default", "name": self.name}],
        }

    def run(self, *tasks: dict[str, Any], arguments: list[str] | None = None) -> list[dict[str, Any]]:
        """Run tasks with the modules' short names."""
        keywords = ("check_mode",)
        named = [
            {name if name in keywords else f"clusternet.core.{name}": value for name, value in task.items()}
            for task in tasks
        ]
        return self._play(*named, arguments=arguments).results

    def publish(self, **options: Any) -> dict[str, Any]:
        """Publish it and return what the module says."""
        _manifest, result = self.run(
            {"manifest": {"definitions": [self.definition]}},
            {"subscription": {"subscriptions": [self.subscription], "wait_timeout": 120, **options}},
        )
        return result

    def descriptions(self) -> list[dict[str, Any]]:
        """Return what was rendered for the cluster."""
        return self._parent.list(f"{APPS}/namespaces/{self.namespace}/descriptions")

    @contextmanager
    def agent(self, phase: str, reason: str = "") -> Iterator[None]:
        """Do what an agent does, with whatever is rendered, until the end of the block."""
        ending = threading.Event()

        def work() -> None:
            while not ending.wait(0.2):
                for item in self.descriptions():
                    generation = item["metadata"]["generation"]
                    if (item.get("status") or {}).get("observedGeneration") != generation:
                        status = {"phase": phase, "reason": reason, "observedGeneration": generation}
                        path = f"{APPS}/namespaces/{self.namespace}/descriptions/{item['metadata']['name']}/status"
                        self._parent.request("PATCH", path, None, {"status": status}, MERGE)

        thread = threading.Thread(target=work)
        thread.start()
        yield
        ending.set()
        thread.join()

    def wait_rendered(self) -> None:
        """Wait until the hub has rendered something for the cluster."""
        deadline = time.monotonic() + 30
        while not self.descriptions():
            assert time.monotonic() < deadline, "nothing is rendered"
            time.sleep(0.1)

    def let_go(self) -> None:
        """Do what an agent does when something is to be removed."""
        deadline = time.monotonic() + 60
        while not any(item["metadata"].get("deletionTimestamp") for item in self.descriptions()):
            assert time.monotonic() < deadline, "nothing is being removed"
            time.sleep(0.1)
        time.sleep(1)  # the module has to wait for it
        for item in self.descriptions():
            path = f"{APPS}/namespaces/{self.namespace}/descriptions/{item['metadata']['name']}"
            self._parent.request("PATCH", path, None, {"metadata": {"finalizers": []}}, MERGE)


@pytest.fixture
def application(play, parent, fleet):
    """An application and its cluster."""
    cluster = fleet.add("lonely", request=False)
    made = Application(play, parent, cluster["metadata"]["namespace"])
    path = f"/apis/clusters.clusternet.io/v1beta1/namespaces/{made.namespace}/managedclusters/lonely"
    parent.request("PATCH", path, None, {"metadata": {"labels": {"site": made.name}}}, MERGE)
    yield made
    made.run(
        {"subscription": {"subscriptions": [{"name": made.name}], "state": "absent"}},
        {"manifest": {"definitions": [made.definition], "state": "absent"}},
    )


def test_a_failure_is_told_before_the_time_is_over_with_cluster_and_reason(application):
    started = time.monotonic()
    with application.agent("Failure", "the cluster has no room"):
        result = application.publish(wait_for="deployed")
    assert result["failed"], result
    assert time.monotonic() - started < 100
    (item,) = result["subscriptions"]
    assert item["clusters"] == ["lonely"]
    assert {"cluster": "lonely", "reason": "the cluster has no room", "failed": True} in item["problems"]
    assert "lonely: the cluster has no room" in result["msg"]


def test_deployed_absent_and_what_render_says_of_it(application):
    with application.agent("Success"):
        result = application.publish(wait_for="deployed")
    assert not result["failed"], result
    changed = {**application.definition, "data": {"a": "c"}}
    same, other = application.run(
        {"render": {"subscriptions": [application.subscription], "definitions": [application.definition]}},
        {"render": {"definitions": [changed]}},
        arguments=["--diff"],
    )
    assert (same["failed"], other["failed"]) == (False, False), (same, other)
    assert same["changed"] is False
    assert [diff["before_header"] for diff in other["diff"]] == [f"lonely: ConfigMap default/{application.name}"]
    assert other["diff"][0]["before"]["data"] == {"a": "b"}
    assert other["diff"][0]["after"]["data"] == {"a": "c"}
    foreseen, nothing = application.run(
        {"manifest": {"definitions": [changed]}},
        {"manifest": {"definitions": [application.definition]}},
        arguments=["--diff", "--check"],
    )
    headers = [diff["before_header"] for diff in foreseen["diff"]]
    assert headers == [f"ConfigMap/default/{application.name}", f"lonely: ConfigMap default/{application.name}"]
    assert foreseen["diff"][1]["after"]["data"] == {"a": "c"}
    assert (nothing["changed"], nothing["diff"]) == (False, [])
    agent = threading.Thread(target=application.let_go)
    agent.start()
    (removed,) = application.run(
        {
            "subscription": {
                "subscriptions": [{"name": application.name}],
                "state": "absent",
                "wait_for": "absent",
                "wait_timeout": 120,
            }
        }
    )
    agent.join()
    assert not removed["failed"], removed
    assert application.descriptions() == []


def test_what_names_no_namespace_is_published_in_the_default_one(application):
    """The preview, the check, the change and the second run mean the same objects, of kinds that the parent knows."""
    metadata = {"name": application.name}
    definitions = [
        {**application.definition, "metadata": metadata},
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": metadata,
            "spec": {"podSelector": {}, "policyTypes": ["Ingress"]},
        },
        {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": metadata, "value": 5},
    ]
    options = {"definitions": definitions, "namespace": "default"}
    policy = {"api_version": "networking.k8s.io/v1", "kind": "NetworkPolicy", "namespace": "default", **metadata}
    priority = {"api_version": "scheduling.k8s.io/v1", "kind": "PriorityClass", **metadata}
    feeds = [*application.subscription["feeds"], policy, priority]
    subscription = {**application.subscription, "feeds": feeds}
    rendered, kept, again = application.run(
        {"render": {"subscriptions": [subscription], **options}}, {"manifest": options}, {"manifest": options}
    )
    assert not rendered["failed"], rendered
    (cluster,) = rendered["subscriptions"][0]["clusters"]
    assert cluster["problems"] == []
    assert {item["what"] for item in cluster["changes"]} >= {
        f"ConfigMap default/{application.name}",
        f"NetworkPolicy default/{application.name}",
        f"PriorityClass {application.name}",
    }
    assert not kept["failed"], kept
    assert [item["namespace"] for item in kept["objects"]] == ["default", "default", None]
    assert (kept["changed"], again["changed"]) == (True, False), again
    foreseen, removed, gone = application.run(
        {"manifest": {**options, "state": "absent"}, "check_mode": True},
        {"manifest": {**options, "state": "absent", "wait": True}},
        {"manifest": {**options, "state": "absent"}},
    )
    assert [item["action"] for item in foreseen["objects"]] == ["deleted"] * 3
    assert [item["action"] for item in removed["objects"]] == ["deleted"] * 3, removed
    assert gone["changed"] is False


def test_diffs_show_what_a_removal_changes_on_the_clusters(application):
    override = {"name": application.name, "cluster": "lonely", "feed": application.subscription["feeds"][0]}
    merged = {"type": "MergePatch", "value": {"data": {"a": "other"}}}
    with application.agent("Success"):
        application.run({"localization": {"localizations": [{**override, "overrides": [merged]}]}})
        result = application.publish(wait_for="deployed")
    assert not result["failed"], result
    gone = {"subscriptions": [{"name": application.name}], "state": "absent"}
    shown = {"show_values": True}
    plain, removed, hidden = application.run(
        {"localization": {"localizations": [override], "state": "absent", **shown}},
        {"subscription": {**gone, **shown}},
        {"subscription": gone},
        arguments=["--diff", "--check"],
    )
    text = f"lonely: ConfigMap default/{application.name}"
    assert [diff["before_header"] for diff in (*plain["diff"][1:], *removed["diff"][1:])] == [text, text]
    assert [plain["diff"][1][side]["data"]["a"] for side in ("before", "after")] == ["other", "b"]
    assert removed["diff"][1]["before"]["data"] == {"a": "other"}
    assert removed["diff"][1]["after"] == {}
    assert hidden["diff"][1]["before"]["data"]["a"].startswith("hidden, digest")
    application.run({"subscription": gone}, {"localization": {"localizations": [override], "state": "absent"}})
    application.let_go()


def test_no_value_shows_at_full_verbosity_with_diffs(application, play):
    """Of Secrets, overrides and charts: in results, diffs, invocations and errors of real tasks."""
    planted, name = f"planted-{uuid.uuid4().hex}", application.name
    encoded = base64.b64encode(planted.encode()).decode()
    metadata = {"name": name, "namespace": "default"}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"k": planted}}
    of_secret = {"api_version": "v1", "kind": "Secret", "namespace": "default", "name": name}
    of_chart = {"kind": "HelmChart", "namespace": "default", "name": name}
    patch = [{"type": "MergePatch", "value": {"data": {"other": encoded}}}]
    values = [{"type": "Helm", "value": f"auth: {{password: {planted}}}"}]
    localizations = [
        {"name": f"{name}-{number}", "cluster": "lonely", "feed": feed, "overrides": overrides}
        for number, (feed, overrides) in enumerate(((of_secret, patch), (of_chart, values)))
    ]
    globalizations = [{"name": name, "feed": of_chart, "overrides": values}]
    chart = {
        "name": name,
        "repo": "https://charts.invalid",
        "chart": "c",
        "version": "1",
        "target_namespace": "default",
    }
    subscription = {**application.subscription, "feeds": [of_secret, of_chart]}
    named = {"subscriptions": [{"name": name}]}
    everything = {"definitions": [secret], "localizations": localizations, "globalizations": globalizations}
    changing = [
        {"manifest": {"definitions": [secret]}},
        {"helm_chart": {"charts": [chart]}},
        {"localization": {"localizations": localizations}},
        {"globalization": {"globalizations": globalizations}},
        {"subscription": {"subscriptions": [subscription]}},
        {"render": {**everything, "charts": [chart], **named}},
        {"description_info": {"namespace": application.namespace}},
        {"subscription_info": {"names": [name]}},
    ]
    malformed = [{**localizations[1], "overrides": [{"type": "Helm", "value": [planted]}]}]
    wrong = [
        {"manifest": {"definitions": [{**secret, "data": {"k": planted + "%"}}]}},
        {"manifest": {"definitions": [secret], "state": "there"}},
        {"localization": {"localizations": malformed}},
        {"globalization": {"globalizations": globalizations, "unknown": True}},
    ]
    removing = [
        {"subscription": {**named, "state": "absent"}},
        {"localization": {"localizations": localizations, "state": "absent"}},
        {"globalization": {"globalizations": globalizations, "state": "absent"}},
        {"manifest": {"definitions": [secret], "state": "absent"}},
        {"helm_chart": {"charts": [chart], "state": "absent"}},
    ]
    output, failed, previews = "", [], []
    for tasks in (changing, changing, wrong, removing):
        named_tasks = [{f"clusternet.core.{module}": options for module, options in task.items()} for task in tasks]
        run = play(*named_tasks, arguments=["-vvv", "--diff"])
        failed.append([result["failed"] for result in run.results])
        if tasks is changing:
            application.wait_rendered()
            previews.append(run.results[5])
        output += run.output
        application.let_go() if tasks is removing else None
    assert failed == [[False] * len(changing)] * 2 + [[True] * len(wrong), [False] * len(removing)], output
    assert "hidden, digest" in output
    [cluster] = previews[1]["subscriptions"][0]["clusters"]
    assert {"what": f"Secret default/{name}", "action": "unchanged"} in cluster["changes"], cluster
    assert [text for text in (planted, encoded, encoded.rstrip("=")[:-2]) if text in output] == []


def test_a_hundred_subscriptions_cost_one_list_and_one_write_each(parent_kubeconfig: Path, parent: Client) -> None:
    sent: list[str] = []

    class Counting(Client):
        def request(self, method, path, *arguments):
            sent.append(method)
            return super().request(method, path, *arguments)

    prefix = f"t{uuid.uuid4().hex[:8]}"
    feeds = [{"apiVersion": "v1", "kind": "ConfigMap", "namespace": "default", "name": "nothing"}]
    nowhere = [{"clusterAffinity": {"matchLabels": {"site": "nowhere"}}}]
    wanted = [
        {
            "apiVersion": SUBSCRIPTIONS.api_version,
            "kind": SUBSCRIPTIONS.kind,
            "metadata": {"name": f"{prefix}-{number}", "namespace": "default"},
            "spec": {
                "schedulerName": "nobody",
                "schedulingStrategy": "Replication",
                "preemptionPolicy": "PreemptLowerPriority",
                "subscribers": nowhere,
                "feeds": feeds,
            },
        }
        for number in range(100)
    ]
    client = Counting(connection_settings({"kubeconfig": str(parent_kubeconfig)}))
    result: dict[str, Any] = {"changed": False}
    Work(Reconciler(client, False), SUBSCRIPTIONS, Items(result, "items", "items")).present(wanted)
    assert sent == ["GET"] + ["POST"] * 100
    sent.clear()
    again: dict[str, Any] = {"changed": False}
    Work(Reconciler(client, False), SUBSCRIPTIONS, Items(again, "items", "items")).present(wanted)
    assert again["changed"] is False
    assert sent == ["GET"]
    Work(Reconciler(client, False), SUBSCRIPTIONS, Items({"changed": False}, "items", "items")).absent(
        [place_of(obj) for obj in wanted]
    )
