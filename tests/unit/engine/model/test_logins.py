"""Which Secrets charts may use, and what children get of them."""

import copy

import pytest
from clusternet_engine.model import logins
from clusternet_engine.model.logins import Login, login_of, may_use
from clusternet_engine.model.rendering import Problem, RenderedChart, Rendering
from hypothesis import given
from hypothesis import strategies as st

LABEL = "pull-secret-for.clusternet.io/"
REPO = "https://charts.example.com"


def chart(name="web", namespace="team", secret=("ops", "reader"), **spec):
    named = {"chartPullSecret": dict(zip(("namespace", "name"), secret, strict=True))} if secret else {}
    return {"metadata": {"name": name, "namespace": namespace}, "spec": {"repo": REPO, "chart": name, **named, **spec}}


def feed(name="web", namespace="team"):
    return {"apiVersion": "apps.clusternet.io/v1alpha1", "kind": "HelmChart", "name": name, "namespace": namespace}


def base(*feeds, **annotations):
    return {
        "metadata": {"name": "b", "namespace": "clusternet-x", "annotations": annotations},
        "spec": {"feeds": list(feeds)},
    }


def rendering(*charts, problems=()):
    return Rendering(charts=[RenderedChart(one, {}) for one in charts], problems=list(problems))


def noted(which, *charts, problems=()):
    """Return the Base as the hub leaves it."""
    done = copy.deepcopy(which)
    found = logins.rendered_logins(done, rendering(*charts, problems=problems))
    patch = logins.logins_patch(done, found)
    done["metadata"]["annotations"].update(patch.get("metadata", {}).get("annotations", {}))
    assert logins.logins_of(done) == found
    assert not logins.logins_patch(done, found)
    return done


def secret(namespace="ops", **labels):
    data = {"username": "dQ==", "password": "cA==", "ca.crt": "Yw==", "token": "c2VjcmV0"}
    return {"metadata": {"name": "reader", "namespace": namespace, "labels": labels}, "data": data}


@pytest.mark.parametrize(
    ("which", "allowed"),
    [
        (secret("team"), True),
        (secret("ops"), False),
        (secret("ops", **{LABEL + "team": "true"}), True),
        (secret("ops", **{LABEL + "team": "false"}), False),
        (secret("ops", **{LABEL + "team": ""}), False),
        (secret("ops", **{LABEL + "other": "true"}), False),
        (secret("ops", **{LABEL + "other": "true", LABEL + "team": "true"}), True),
        (secret("kube-system", **{LABEL: "true"}), False),
    ],
)
def test_a_secret_is_used_in_its_namespace_and_where_it_is_released_for(which, allowed):
    assert may_use(which, "team") is allowed


@given(st.text(), st.dictionaries(st.text(), st.text()))
def test_no_other_label_releases_a_secret(namespace, labels):
    labels.pop(LABEL + namespace, None)
    assert may_use(secret("ops", **labels), namespace) is (namespace == "ops")


def test_without_a_namespace_the_charts_own_is_meant():
    assert login_of(chart(secret=None, chartPullSecret={"name": "x"})["spec"], "team").secret == "team/x"
    assert login_of(chart(secret=None)["spec"], "team") is None
    assert login_of(chart(secret=None, chartPullSecret={"namespace": "ops"})["spec"], "team") is None


def test_the_refusal_does_not_tell_whether_there_is_such_a_secret():
    text = logins.refusal(login_of(chart()["spec"], "team"))
    assert text.startswith("Secret ops/reader of chartPullSecret can't be used: there is none, or it lacks the label")
    assert f"{LABEL}team=true" in text


def test_a_base_notes_the_logins_of_its_charts_only():
    done = noted(base(feed(), feed("open")), chart(), chart("open", secret=None), chart("other"))
    assert logins.logins_of(done) == {"team/web": Login("team", "ops/reader", REPO, False)}
    assert noted(done, chart(secret=None))["metadata"]["annotations"]["apps.clusternet.io/chart-logins"] is None


def test_a_chart_with_a_fault_keeps_its_login():
    done = noted(base(feed()), chart())
    again = noted(done, problems=[Problem(feed(), "x", "y")])
    assert logins.logins_of(again) == logins.logins_of(done)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a": 1}', '{"a": {}}', '{"a": {"secret": "x", "more": 1}}'])
def test_what_cannot_be_read_is_no_login(text):
    assert logins.logins_of(base(**{"apps.clusternet.io/chart-logins": text})) == {}


def test_charts_name_what_their_deployer_reads():
    which, source = base(feed()), chart()
    found = logins.rendered_logins(which, rendering(source))
    for pulls, expected in ((False, ("ops", "reader")), (True, ("clusternet-x", found["team/web"].copy_name))):
        (part,) = logins.pointing_to_secrets(which, rendering(source).charts, found, pulls=pulls)
        named = part.chart["spec"]["chartPullSecret"]
        assert (named["namespace"], named["name"]) == expected
        release = {"metadata": {"namespace": "clusternet-x"}, "spec": part.chart["spec"]}
        assert bool(logins.awaited_copy(release)) is pulls
    assert source == chart(), "what caches hold isn't changed"
    (unknown,) = logins.pointing_to_secrets(which, rendering(source).charts, {}, pulls=True)
    assert "chartPullSecret" not in unknown.chart["spec"]


def test_a_release_has_the_login_that_was_noted_whatever_it_says_itself():
    done = noted(base(feed(), feed("other")), chart(), chart("other", secret=("ops", "another")))
    for name, expected in (("web", "ops/reader"), ("other", "ops/another"), ("none", None)):
        release = {"metadata": {"name": f"b-helm-team-{name}"}, "spec": {"chartPullSecret": {"name": "any"}}}
        login = logins.login_for(release, done)
        assert (login and login.secret) == expected
    login = logins.logins_of(done)["team/web"]
    assert login.is_for({"repo": REPO})
    assert not login.is_for({"repo": "https://evil.example.com"})
    assert not login.is_for({"repo": REPO, "plainHTTP": True})


def test_copies_hold_the_login_alone():
    login = login_of(chart()["spec"], "team")
    made = logins.copy_of(login, secret(), "clusternet-x")
    assert set(made["data"]) == {"username", "password", "ca.crt"}
    assert logins.original_of(made) == "ops/reader"
    assert logins.is_copy_name(made["metadata"]["name"])
    assert made["metadata"]["name"] != login_of(chart(namespace="other")["spec"], "other").copy_name
    assert logins.copy_patch(made, made) == {}
    spoilt = copy.deepcopy(made)
    spoilt["data"] |= {"password": "eA==", "more": "eA=="}
    spoilt["metadata"]["annotations"] = {}
    patch = logins.copy_patch(spoilt, made)
    assert patch["data"]["more"] is None
    assert patch["data"]["password"] == "cA=="
    assert patch["metadata"]["annotations"] == made["metadata"]["annotations"]
