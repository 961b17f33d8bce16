"""From feeds to Bases, Descriptions and HelmReleases."""

import base64
import json
import string

import orjson
import pytest
from clusternet_engine.model import constants as names
from clusternet_engine.model import descriptions, labels, releases
from clusternet_engine.model.applied import reference, to_annotation, without
from clusternet_engine.model.bases import (
    awaits_replicas,
    base_names,
    build_base,
    divided_replicas,
    is_replica_localization,
    is_scheduled,
    replica_localizations,
)
from clusternet_engine.model.descriptions import build_generic, build_helm, difference, rendered_feeds
from clusternet_engine.model.feed_use import MAX_LABELS, protection_text, use_labels
from clusternet_engine.model.feeds import feed_key, feed_reference, feed_text
from clusternet_engine.model.names import is_dns_label, is_dns_subdomain
from clusternet_engine.model.rendering import Problem, render, source_references
from clusternet_engine.model.rendering_problems import noted_problems, problems_patch
from clusternet_engine.model.spec_hash import spec_hash
from clusternet_engine.model.uid_labels import labels_patch, uid_label, uid_labels, without_uid_labels
from hypothesis import given
from hypothesis import strategies as st
from publishing import chart, config_map, deployment, feed_of, localization, manifest_of, override, subscription

UID = "6d0922ea-1ee7-4ee6-8870-405bc2df8390"
BASE_UID = "0631d363-5304-4c0a-90a0-bc64bdfe24c4"


def stored(obj, uid=UID, **metadata):
    """Return an object as an API server has it."""
    return {**obj, "metadata": {**obj["metadata"], "uid": uid, "generation": 1, **metadata}}


def finder(*objects):
    """Return what finds these native objects and charts by feed."""
    sources = [obj if obj["kind"] == "HelmChart" else manifest_of(obj) for obj in objects]

    def find(feed):
        return [source for source in sources if feed_reference(feed) in source_references(source)]

    return find


def found(one, phase="Found", **status):
    return {**one, "status": {"phase": phase, **status}}


def a_base(*objects, labels=None):
    base = build_base(stored(subscription("app", objects)), "app-xxxxx", "ns", labels or {})
    return stored(base, BASE_UID)


def decoded(texts):
    return [json.loads(base64.b64decode(text)) for text in texts]


def rendered(base, *objects, locals_=()):
    return render(base["spec"]["feeds"], finder(*objects), list(locals_), [], [{}])


# Rendering


@pytest.mark.parametrize("template", [[], "x", {}, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": []}])
def test_a_manifest_that_holds_no_object_leaves_other_feeds_alone(template):
    whole, broken = config_map("whole"), config_map("broken")
    sources = {"whole": manifest_of(whole), "broken": {**manifest_of(broken), "template": template}}
    rendering = render([feed_of(broken), feed_of(whole)], lambda feed: [sources[feed["name"]]], [], [], [{}])
    assert [problem.reason for problem in rendering.problems] == ["Malformed"]
    assert [one.object["metadata"]["name"] for one in rendering.generic] == ["whole"]


def test_rendering_keeps_the_order_of_the_feeds_and_drops_what_the_system_adds():
    web = deployment("web", "foo")
    web["metadata"] |= {"uid": "u", "managedFields": [{}], "annotations": {"a": "b"}}
    web["status"] = {"replicas": 1}
    mine = found(chart("mine"), labels={})
    mine["metadata"] |= {
        "labels": {"a": "b", UID: "Subscription"},
        "annotations": {names.FEED_PROTECTION_ANNOTATION: "x", "kept": "y"},
        "resourceVersion": "7",
    }
    result = render(
        [feed_of(mine), feed_of(config_map("c", "foo")), feed_of(web)],
        finder(web, mine, config_map("c", "foo")),
        [],
        [],
        [],
    )
    assert [part.reference for part in result.generic] == ["v1/ConfigMap/foo/c", "apps/v1/Deployment/foo/web"]
    rendered_web = result.generic[1].object
    assert set(rendered_web) == {"apiVersion", "kind", "metadata", "spec"}
    assert set(rendered_web["metadata"]) == {"name", "namespace", "labels", "annotations"}
    (only,) = result.charts
    assert only.chart["metadata"] == {
        "name": "mine",
        "namespace": "default",
        "labels": {"a": "b"},
        "annotations": {"kept": "y"},
    }
    assert only.values == {}
    assert result.problems == []
    (bare,) = render([feed_of(mine)], finder(found(chart("mine"))), [], [], []).charts
    assert bare.chart["metadata"] == {"name": "mine", "namespace": "default"}


def test_a_feed_without_namespace_means_all_objects_of_the_name():
    one, two = config_map("c", "one"), config_map("c", "two")
    feed = {"apiVersion": "v1", "kind": "ConfigMap", "name": "c"}
    local = localization("l", "ns", two, [override("MergePatch", {"data": {"x": "z"}})])
    result = render([feed], finder(one, two), [local], [], [])
    assert [part.object["data"] for part in result.generic] == [{}, {"x": "z"}]
    everywhere = localization("l", "ns", feed, [override("MergePatch", {"data": {"x": "z"}})])
    result = render([feed], finder(one, two), [everywhere], [], [])
    assert [part.object["data"] for part in result.generic] == [{"x": "z"}] * 2


@pytest.mark.parametrize(
    ("source", "reason", "event", "text"),
    [
        (None, "FeedMissing", "NonexistentHelmChart", "HelmChart default/mine doesn't exist"),
        (chart("mine"), "VerifyingHelmChart", "VerifyingHelmChart", "is being looked up"),
        (found(chart("mine"), "NotFound", reason="404"), "HelmChartNotFound", "HelmChartNotFound", "repository: 404"),
        (found(chart("mine"), "NotFound"), "HelmChartNotFound", "HelmChartNotFound", "no reason was given"),
        (found(chart("mine"), observedGeneration=1), "VerifyingHelmChart", "VerifyingHelmChart", "is being looked up"),
    ],
)
def test_problems_of_charts(source, reason, event, text):
    sources = [source] if source else []
    result = render([feed_of(chart("mine")), feed_of(config_map("c"))], finder(config_map("c"), *sources), [], [], [])
    (problem,) = result.problems
    assert (problem.reason, problem.event) == (reason, event)
    assert text in problem.message
    assert (len(result.generic), result.charts) == (1, [])


def test_a_failing_override_leaves_the_other_feeds_alone():
    bad = localization("bad", "ns", config_map("a"), [override("JSONPatch", [{"op": "remove", "path": "/x"}])])
    result = render(
        [feed_of(config_map("a")), feed_of(config_map("b"))], finder(config_map("a"), config_map("b")), [bad], [], []
    )
    assert [part.object["metadata"]["name"] for part in result.generic] == ["b"]
    (problem,) = result.problems
    assert (problem.reason, problem.event) == ("OverrideFailed", "FailedApplyingOverrides")
    assert problem.message.startswith("ConfigMap default/a: Localization ns/bad: override 'jsonpatch'")


def test_b6_8_what_is_obsolete():
    """Those in old and not in new; neither order nor version counts."""

    def feeds(*texts):
        return [dict(zip(("apiVersion", "kind", "namespace", "name"), text.split(), strict=True)) for text in texts]

    old = feeds("apps/v1 Deployment a x", "v1 Service a x", "v1 ConfigMap a y")
    new = feeds("v1 ConfigMap a y", "apps/v1beta1 Deployment a x")
    assert without(old, new) == feeds("v1 Service a x")
    assert without(new, old) == []


def test_b6_9_text_of_feeds():
    assert feed_text(feed_of(config_map("c", "foo"))) == "ConfigMap foo/c"
    assert feed_text({"apiVersion": "v1", "kind": "Namespace", "name": "foo"}) == "Namespace foo"


# Bases


NAMES = st.text(string.ascii_lowercase + string.digits + "-.", min_size=1, max_size=253).filter(is_dns_subdomain)


@given(NAMES, st.uuids(), st.sampled_from(["ns-a", "ns-b"]))
def test_names_of_bases_fit_into_labels(name, uid, namespace):
    made = stored(subscription(name, []), str(uid))
    candidates = base_names(made, namespace)
    first, second = next(candidates), next(candidates)
    assert first != second
    assert first == next(base_names(made, namespace))
    assert first != next(base_names(made, "elsewhere"))
    assert is_dns_label(f"{first}-helm")
    assert name[:20].replace(".", "-").rstrip("-") in first


def test_names_of_bases_use_the_room_that_labels_have():
    assert len(f"{next(base_names(stored(subscription('x' * 253, [])), 'ns'))}-helm") == 63


def test_base():
    made = stored(
        subscription("x" * 57, [config_map("c")]), annotations={names.DEFAULT_CLUSTER_INIT_ANNOTATION: "true", "n": "o"}
    )
    base = build_base(made, "b", "ns", {names.CLUSTER_ID_LABEL: "id", names.CLUSTER_NAME_LABEL: "n", "other": "x"})
    assert base["metadata"] == {
        "name": "b",
        "namespace": "ns",
        "labels": {
            "clusternet.io/created-by": "clusternet-controller-manager",
            "apps.clusternet.io/config.kind": "Subscription",
            "apps.clusternet.io/config.name": "x" * 57,
            "apps.clusternet.io/config.namespace": "default",
            "apps.clusternet.io/config.uid": UID,
            "apps.clusternet.io/subs.name": "x" * 57,
            "apps.clusternet.io/subs.namespace": "default",
            "apps.clusternet.io/subs.uid": UID,
            "clusters.clusternet.io/cluster-id": "id",
            "clusters.clusternet.io/cluster-name": "n",
        },
        "annotations": {"apps.clusternet.io/is-default-cluster-init": "true"},
        "finalizers": ["apps.clusternet.io/finalizer"],
    }
    assert base["spec"]["feeds"] == made["spec"]["feeds"]
    longer = build_base(stored(subscription("x" * 58, [])), "b", "ns", {})
    assert not {"apps.clusternet.io/config.name", "apps.clusternet.io/subs.name"} & set(longer["metadata"]["labels"])
    assert "annotations" not in longer["metadata"]


def divided(*objects, bindings=("ns/one", "other/two"), replicas=None, **status):
    made = stored(subscription("app", objects, schedulingStrategy="Dividing"))
    made["status"] = {"bindingClusters": list(bindings), "replicas": replicas or {}, **status}
    return made


def inventory_of(*objects, path="/spec/replicas"):
    return {"spec": {"feeds": [{**feed_of(obj), "replicaJsonPath": path} for obj in objects]}}


def test_shares_of_replicas():
    web, settings = deployment("web"), config_map("c")
    key = feed_key(feed_of(web))
    made = divided(web, settings, replicas={key: [2, 4], feed_key(feed_of(settings)): [], "wrong": [1]})
    assert divided_replicas(made, "ns") == {key: 2}
    assert divided_replicas(made, "other") == {key: 4}
    assert divided_replicas(made, "third") == {}
    assert divided_replicas(subscription("a", []), "ns") == {}
    base = a_base(web, settings)
    (local,) = replica_localizations(made, base, inventory_of(web), [])
    assert local["metadata"]["name"].startswith("app-xxxxx-")
    assert local["metadata"]["namespace"] == "ns"
    assert is_replica_localization(local, UID)
    of_a_user = {"metadata": {"labels": {UID: "Subscription"}}}
    assert not is_replica_localization(of_a_user, UID)
    assert not is_replica_localization({"metadata": {}}, UID)
    assert not is_replica_localization(local, BASE_UID)
    assert local["spec"]["priority"] == 1000
    assert rendered(base, web, settings, locals_=[local]).generic[0].object["spec"]["replicas"] == 2
    del web["spec"]["replicas"]
    assert rendered(base, web, settings, locals_=[local]).generic[0].object["spec"]["replicas"] == 2
    renamed = {**local, "metadata": {**local["metadata"], "name": "other"}}
    assert replica_localizations(made, base, inventory_of(web), [renamed])[0]["metadata"]["name"] == "other"
    assert replica_localizations(made, base, None, []) == []
    assert len(replica_localizations(made, base, inventory_of(web, settings), [])) == 1, "only what is divided"


def test_what_waits_for_its_share():
    web, settings = deployment("web"), config_map("c")
    key, base = feed_key(feed_of(web)), a_base(web, settings)
    inventory = inventory_of(web)
    assert not awaits_replicas(stored(subscription("a", [web])), base, None), "not divided"
    assert awaits_replicas(divided(web), base, inventory), "not scheduled"
    new = divided(web)
    del new["status"]
    assert awaits_replicas(new, base, inventory), "not even looked at"
    assert awaits_replicas(divided(web, replicas={key: [1, 1]}), base, None), "path not known"
    assert awaits_replicas(divided(web, replicas={key: [1, 1]}), base, inventory_of(web, path=None)), "no path"
    assert awaits_replicas(divided(web, bindings=["other/two"], replicas={key: [1]}), base, inventory), "not bound"
    assert not awaits_replicas(divided(web, replicas={key: [1, 1]}), base, inventory)
    assert not awaits_replicas(divided(web, replicas={key: []}), base, None), "nothing to divide in this feed"
    unknown = divided(web, replicas={key: [1, 1]})
    unknown["status"]["specHash"] = spec_hash(unknown["spec"])
    assert awaits_replicas(unknown, base, None), "scheduled, but its path isn't known"
    weightless = divided(web)
    weightless["status"] = {**weightless["status"], "specHash": spec_hash(weightless["spec"])}
    assert not awaits_replicas(weightless, base, None), "weights that are all zero"
    assert not awaits_replicas(divided(settings, bindings=[]), a_base(settings), None), "nothing to divide"


def test_scheduled_for_the_present_spec():
    made = subscription("a", [config_map("c")])
    assert is_scheduled(made)
    assert is_scheduled({**made, "status": {"specHash": spec_hash(made["spec"])}})
    assert not is_scheduled({**made, "status": {"specHash": 1}})


# Descriptions


def test_generic_description():
    web, settings = deployment("web", "foo"), config_map("c", "foo")
    base = a_base(web, settings, labels={names.CLUSTER_ID_LABEL: "id"})
    built = build_generic(base, rendered(base, web, settings), None)
    description = built.description
    assert built.problems == []
    assert description["metadata"]["name"] == "app-xxxxx-generic"
    assert description["metadata"]["labels"] == {
        "clusternet.io/created-by": "clusternet-controller-manager",
        "apps.clusternet.io/config.kind": "Base",
        "apps.clusternet.io/config.namespace": "ns",
        "apps.clusternet.io/config.uid": BASE_UID,
        "apps.clusternet.io/subs.namespace": "default",
        "apps.clusternet.io/subs.uid": UID,
        "clusters.clusternet.io/cluster-id": "id",
    }
    assert description["metadata"]["namespace"] == "ns"
    assert description["metadata"]["finalizers"] == ["apps.clusternet.io/finalizer"]
    assert description["metadata"]["ownerReferences"] == [
        {
            "apiVersion": "apps.clusternet.io/v1alpha1",
            "kind": "Base",
            "name": "app-xxxxx",
            "uid": BASE_UID,
            "controller": True,
        }
    ]
    assert description["spec"]["deployer"] == "Generic"
    assert [obj["kind"] for obj in decoded(description["spec"]["raw"])] == ["Deployment", "ConfigMap"]
    assert rendered_feeds(description) == ["apps/v1/Deployment/foo/web", "v1/ConfigMap/foo/c"]
    assert descriptions.made_from(description, base)
    assert not descriptions.made_from(description, stored(base, UID))
    assert not descriptions.made_from({"metadata": {}}, base)
    assert difference(description, description) == {}
    assert not descriptions.is_empty(description)


def test_charts_and_native_objects_go_to_different_descriptions():
    mine, settings = found(chart("mine")), config_map("c")
    base = a_base(mine, settings)
    values = localization("v", "ns", mine, [override("Helm", {"size": 1})])
    result = rendered(base, mine, settings, locals_=[values])
    assert len(build_generic(base, result, None).description["spec"]["raw"]) == 1
    helm = build_helm(base, result, None).description
    assert helm["metadata"]["name"] == "app-xxxxx-helm"
    assert helm["spec"]["charts"] == [{"name": "mine", "namespace": "default"}]
    assert decoded(helm["spec"]["raw"]) == [{"size": 1}]
    assert decoded(helm["spec"]["chartRaw"])[0]["spec"] == mine["spec"]
    assert rendered_feeds(helm) == ["apps.clusternet.io/v1alpha1/HelmChart/default/mine"]
    del helm["metadata"]["annotations"]
    assert rendered_feeds(helm) == ["apps.clusternet.io/v1alpha1/HelmChart/default/mine"], "made by Clusternet"
    bare = build_helm(base, rendered(base, mine, settings), None).description
    assert base64.b64decode(bare["spec"]["raw"][0]) == b" "


def test_a_feed_with_a_problem_stays_as_it_was():
    one, two, mine = config_map("one", a="1"), config_map("two", a="1"), found(chart("mine"))
    base = a_base(one, two, mine)
    before = rendered(base, one, two, mine)
    generic, helm = build_generic(base, before, None).description, build_helm(base, before, None).description
    changed = config_map("two", a="2")
    now = rendered(base, changed, found(chart("mine"), "NotFound"))
    assert len(now.problems) == 2
    assert [obj["data"] for obj in decoded(build_generic(base, now, generic).description["spec"]["raw"])] == [
        {"a": "1"},
        {"a": "2"},
    ]
    assert build_helm(base, now, helm).description == helm
    first = build_generic(base, now, None).description
    assert [obj["metadata"]["name"] for obj in decoded(first["spec"]["raw"])] == ["two"]
    # What Clusternet has made has no annotation: its objects tell which feeds they come from.
    theirs = {**generic, "metadata": {**generic["metadata"]}}
    del theirs["metadata"]["annotations"]
    assert build_generic(base, now, theirs).description == build_generic(base, now, generic).description
    assert difference(theirs, generic) == {"metadata": {"annotations": generic["metadata"]["annotations"]}}
    empty = {**generic, "spec": {"deployer": "Generic"}}
    assert build_generic(base, now, empty).description == build_generic(base, now, None).description
    # A feed that is listed no longer goes, also while another one has a problem.
    smaller = {**base, "spec": {"feeds": [feed_of(one)]}}
    left = build_generic(smaller, rendered(smaller), generic).description
    assert [obj["metadata"]["name"] for obj in decoded(left["spec"]["raw"])] == ["one"]


@pytest.mark.parametrize("note", ["{", "[]", '"x"', '["a"]', None])
def test_notes_that_do_not_fit_are_not_believed(note):
    raw = [
        descriptions._encode(config_map("c", "foo")),
        descriptions._encode({"a": 1}),
        base64.b64encode(b"{").decode(),
    ]
    annotations = {} if note is None else {names.RENDERED_FEEDS_ANNOTATION: note}
    description = {"metadata": {"annotations": annotations}, "spec": {"deployer": "Generic", "raw": raw}}
    assert rendered_feeds(description) == ["v1/ConfigMap/foo/c", "", ""]


def test_what_does_not_fit_is_left_out_and_never_taken_away():
    small, large, huge = config_map("small"), config_map("large", x="x" * 900_000), config_map("huge", x="x" * 900_000)
    base = a_base(large, huge, small)
    built = build_generic(base, rendered(base, large, huge, small), None)
    assert [obj["metadata"]["name"] for obj in decoded(built.description["spec"]["raw"])] == ["large", "small"]
    (problem,) = built.problems
    assert (problem.reason, problem.event) == ("TooLarge", "TooLarge")
    assert problem.message.startswith("ConfigMap default/huge doesn't fit")
    # One that grows too large stays as it was, and what follows it is there, too.
    grown = config_map("small", x="x" * 900_000)
    again = build_generic(base, rendered(base, large, huge, grown), built.description)
    assert again.description == built.description
    assert len(again.problems) == 2
    shrunk = build_generic(base, rendered(base, config_map("large"), huge, small), built.description)
    assert len(shrunk.description["spec"]["raw"]) == 3
    assert shrunk.problems == []


def test_what_was_too_large_already_may_stay_and_shrink(monkeypatch):
    one, two = config_map("one", x="x" * 100), config_map("two", x="x" * 100)
    base = a_base(one, two)
    before = build_generic(base, rendered(base, one, two), None).description
    monkeypatch.setattr(descriptions, "MAX_RAW", 100)
    same = build_generic(base, rendered(base, one, two), before)
    assert (same.description, same.problems) == (before, [])
    less = build_generic(base, rendered(base, one, config_map("two")), before)
    assert (decoded(less.description["spec"]["raw"])[1]["data"], less.problems) == ({}, [])


def test_names_of_many_objects_have_a_limit_of_their_own(monkeypatch):
    objects = [config_map(f"c{number}") for number in range(3)]
    base = a_base(*objects)
    whole = build_generic(base, rendered(base, *objects), None).description
    references = orjson.loads(whole["metadata"]["annotations"][names.RENDERED_FEEDS_ANNOTATION])
    applied = to_annotation(map(reference, objects))
    monkeypatch.setattr(descriptions, "MAX_NOTES", len(applied) + len(orjson.dumps(references)))
    built = build_generic(base, rendered(base, *objects), None)
    assert (built.description, built.problems) == (whole, [])
    more = [*objects, config_map("c3")]
    base = a_base(*more)
    built = build_generic(base, rendered(base, *more), whole)
    assert len(built.description["spec"]["raw"]) == 3
    assert [problem.feed["name"] for problem in built.problems] == ["c3"]


def test_charts_count_with_what_they_are_and_with_their_values():
    one, two, three = (found(chart(name)) for name in ("one", "two", "three"))
    one["metadata"]["annotations"] = {"a": "x" * 600_000}
    base = a_base(one, two, three)
    values = [localization("v", "ns", two, [override("Helm", {"a": "x" * 600_000})])]
    built = build_helm(base, rendered(base, one, two, three, locals_=values), None)
    assert [part["name"] for part in built.description["spec"]["charts"]] == ["one", "three"]
    assert [problem.feed["name"] for problem in built.problems] == ["two"]
    nothing = build_helm(a_base(), rendered(a_base()), None).description
    assert descriptions.is_empty(nothing)
    assert rendered_feeds({"metadata": {}, "spec": {"deployer": "Helm"}}) == []


def test_difference_of_descriptions():
    one = config_map("one", a="1")
    base = a_base(one)
    before = build_generic(base, rendered(base, one), None).description
    after = build_generic(base, rendered(base, config_map("one", a="2")), None).description
    assert difference(before, after) == {"spec": after["spec"]}
    theirs = {
        **before,
        "metadata": {**before["metadata"], "labels": {"x": "y"}},
        "spec": {**before["spec"], "charts": []},
    }
    patch = difference(theirs, before)
    assert patch == {"metadata": {"labels": before["metadata"]["labels"]}, "spec": {"charts": None, **before["spec"]}}


# HelmReleases


def helm_description(*charts, locals_=()):
    base = a_base(*charts)
    return stored(build_helm(base, rendered(base, *charts, locals_=locals_), None).description, UID)


def test_release():
    mine = found(chart("mine", wait=True))
    mine["metadata"] |= {
        "labels": {"team": "a", BASE_UID: "Base", "bad key!": "x", "n": 5, "bad": "x" * 64},
        "annotations": {"n": "1"},
    }
    description = helm_description(mine, locals_=[localization("v", "ns", mine, [override("Helm", {"a": 1})])])
    (release,) = releases.wanted_releases(description)
    assert (release["apiVersion"], release["kind"]) == ("apps.clusternet.io/v1alpha1", "HelmRelease")
    assert release["metadata"]["name"] == "app-xxxxx-helm-default-mine"
    assert release["metadata"]["namespace"] == "ns"
    assert release["metadata"]["annotations"] == {"n": "1"}
    assert release["metadata"]["finalizers"] == ["apps.clusternet.io/finalizer"]
    assert release["metadata"]["labels"] == {
        "team": "a",
        "clusternet.io/created-by": "clusternet-controller-manager",
        "apps.clusternet.io/config.kind": "Description",
        "apps.clusternet.io/config.name": "app-xxxxx-helm",
        "apps.clusternet.io/config.namespace": "ns",
        "apps.clusternet.io/config.uid": UID,
        "apps.clusternet.io/subs.name": "",
        "apps.clusternet.io/subs.namespace": "default",
        "apps.clusternet.io/subs.uid": UID,
    }
    (owner,) = release["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"], owner["controller"]) == ("Description", UID, True)
    assert release["spec"] == mine["spec"] | {"releaseName": "mine", "overrides": description["spec"]["raw"][0]}
    assert releases.difference(release, release) == {}
    (bare,) = releases.wanted_releases(helm_description(found(chart("mine"))))
    assert "overrides" not in bare["spec"]
    assert "annotations" not in bare["metadata"]
    del description["metadata"]["labels"]
    least = releases.build_release(description, {"name": "mine", "namespace": "default"}, {"spec": {}}, "")
    assert least["spec"] == {"releaseName": "mine"}
    assert least["metadata"]["labels"][names.SUBSCRIPTION_UID_LABEL] == ""


def test_helm_has_one_release_in_a_place():
    release = {"metadata": {"name": "d-default-web"}, "spec": {"targetNamespace": "apps"}}
    assert releases.place_of(release) == ("apps", "d-default-web")
    release["spec"]["releaseName"] = "web"
    assert releases.place_of(release) == ("apps", "web")


@given(st.integers(1, 63), st.integers(1, 253))
def test_names_of_releases(namespace, name):
    reference = {"namespace": "n" * namespace, "name": "c" * name}
    made = releases.release_name({"metadata": {"name": "d" * 63}}, reference)
    assert is_dns_subdomain(made)
    other = releases.release_name({"metadata": {"name": "d" * 63}}, {**reference, "name": "c" * (name - 1) + "x"})
    assert made != other


def test_only_names_that_are_too_long_are_cut():
    description = {"metadata": {"name": "d" * 63}}
    fits, longer = ({"namespace": "n" * 63, "name": "c" * length} for length in (125, 126))
    assert releases.release_name(description, fits) == f"{'d' * 63}-{'n' * 63}-{'c' * 125}"
    cut = releases.release_name(description, longer)
    assert (len(cut), cut[:240]) == (253, f"{'d' * 63}-{'n' * 63}-{'c' * 112}")


def test_difference_of_releases():
    (wanted,) = releases.wanted_releases(helm_description(found(chart("mine", chartPullSecret={"name": "s"}))))
    before = json.loads(json.dumps(wanted))
    before["spec"] |= {"createNamespace": True, "timeoutSeconds": 300, "wait": True, "version": "0.9"}
    before["spec"]["chartPullSecret"] = {"name": "s", "namespace": "x"}
    before["metadata"]["labels"] |= {"foreign": "stays", names.SUBSCRIPTION_UID_LABEL: "old"}
    annotated = {**wanted, "metadata": {**wanted["metadata"], "annotations": {"n": "1"}}}
    assert releases.difference(wanted, annotated) == {"metadata": {"annotations": {"n": "1"}}}
    assert releases.difference(before, wanted) == {
        "metadata": {"labels": {names.SUBSCRIPTION_UID_LABEL: UID}},
        "spec": {"wait": None, "version": "1.0.0", "chartPullSecret": {"namespace": None}},
    }


@pytest.mark.parametrize(
    "texts", [None, [], [""], [base64.b64encode(b"[]").decode()], [base64.b64encode(b"{}").decode()]]
)
def test_entries_that_are_no_charts(texts):
    spec = {"charts": [{"name": "a", "namespace": "b"}], "chartRaw": texts}
    with pytest.raises(releases.UnreadableChart, match="chart b/a is not a HelmChart"):
        list(releases.wanted_releases({"metadata": {"name": "d"}, "spec": spec}))


def test_charts_without_values_column():
    description = helm_description(found(chart("mine")))
    del description["spec"]["raw"]
    assert len(list(releases.wanted_releases(description))) == 1


@pytest.mark.parametrize(
    ("phases", "phase", "reason"),
    [
        (["deployed", "deployed"], "Success", ""),
        (["deployed", "failed"], "Failure", "default/b: it broke"),
        (["pending-install", "failed"], "Failure", "default/b: it broke"),
        (["pending-install", "deployed"], "Installing", "default/a: it broke"),
        (["pending-upgrade", "deployed"], "Upgrading", "default/a: it broke"),
        (["uninstalling", "deployed"], "Uninstalling", "default/a: it broke"),
        (["superseded", "deployed"], "Superseded", "default/a: it broke"),
        (["strange", "deployed"], "Unknown", "default/a: it broke"),
        (["", "deployed"], "Pending", ""),
        ([None, "deployed"], "Pending", ""),
        (["old", "deployed"], "Upgrading", ""),
    ],
)
def test_phase_of_charts(phases, phase, reason):
    description = helm_description(found(chart("a")), found(chart("b")))
    made = {}
    for one, word in zip(releases.wanted_releases(description), phases, strict=True):
        status = {"phase": word, "description": "it broke"}
        if word == "old":
            status = {"phase": "deployed", "observedGeneration": 0}
        if word is not None:
            made[one["metadata"]["name"]] = {**stored(one), "status": status}
    assert releases.helm_status(description, made) == {"phase": phase, "reason": reason}


def test_phase_of_no_charts():
    assert releases.helm_status({"metadata": {"name": "d"}, "spec": {}}, {})["phase"] == "Success"
    assert releases.helm_status(
        helm_description(found(chart("a"))),
        {"app-xxxxx-helm-default-a": {"metadata": {"generation": 1}, "status": {"phase": "failed"}}},
    ) == {"phase": "Failure", "reason": "default/a: failed"}


# What uses a feed, and problems


def test_uid_labels():
    obj = {"kind": "Base", "metadata": {"uid": UID, "labels": {"a": "Base", BASE_UID: "Base", UID: "Subscription"}}}
    assert uid_label(obj) == {UID: "Base"}
    assert uid_label(obj, "Deployment") == {UID: "Deployment"}
    assert uid_labels(obj, ("Base",)) == {BASE_UID: "Base"}
    assert uid_labels({"metadata": {}}, ("Base",)) == {}
    assert without_uid_labels(obj["metadata"]["labels"]) == {"a": "Base"}
    assert labels_patch({"a": "1", "b": "2"}, {"b": "3", "c": "4"}) == {"a": None, "b": "3", "c": "4"}
    assert labels_patch({"a": "1"}, {"a": "1"}) == {}


def test_labels_of_too_many_users():
    users = [{"kind": "Subscription", "metadata": {"uid": "s"}}] + [
        {"kind": "Base", "metadata": {"uid": str(n)}} for n in range(MAX_LABELS)
    ]
    assert use_labels(users) == {"s": "Subscription"}
    assert len(use_labels(users[:-1])) == MAX_LABELS


def test_why_a_feed_stays():
    users = [subscription(f"s{n:02}", []) for n in range(12)]
    assert "Subscription default/s00; it is deleted" in protection_text(users[:1])
    assert "default/s09 and 2 more; " in protection_text(users)
    assert "default/s09; " in protection_text(users[:10])


def test_problems_that_a_base_notes():
    feed = feed_of(config_map("c"))
    problems = [
        Problem(feed, "OverrideFailed", "one"),
        Problem(feed, "FeedMissing", "two"),
        Problem(feed, "TooLarge", "3"),
    ]
    base = a_base()
    patch = problems_patch(base, problems)
    noted = {**base, "metadata": {**base["metadata"], **patch["metadata"]}}
    assert noted_problems(noted) == [("OverrideFailed", "one"), ("TooLarge", "3")]
    assert problems_patch(noted, problems) == {}
    assert problems_patch(noted, []) == {"metadata": {"annotations": {names.RENDERING_PROBLEMS_ANNOTATION: None}}}
    assert problems_patch(base, problems[1:2]) == {}
    assert noted_problems(base) == []
    for wrong in ("{", "[1]", '[{"reason": 1}]', "1"):
        assert noted_problems({"metadata": {"annotations": {names.RENDERING_PROBLEMS_ANNOTATION: wrong}}}) == []


@pytest.mark.parametrize("name", ["web-abcde-helm", "w" * 57 + "-abcde-helm"])
def test_a_release_names_its_description_however_long(name):
    owner = {"apiVersion": "apps.clusternet.io/v1alpha1", "kind": "Description"}
    metadata = {"name": name, "namespace": "clusternet-abcde", "uid": "u", "labels": {}}
    reference = {"name": "db", "namespace": "default"}
    release = releases.build_release({**owner, "metadata": metadata}, reference, {"spec": {}}, "")
    assert all(map(labels.is_label_value, release["metadata"]["labels"].values()))
    assert releases.description_name(release) == name
    del release["metadata"]["ownerReferences"]
    assert releases.description_name(release) == labels.label_form(name)
    assert releases.description_name({"metadata": {}}) == ""
