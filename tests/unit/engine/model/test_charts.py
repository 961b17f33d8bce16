"""Charts: versions, repositories, Helm's records (spec/03 §1.2, §8.3)."""

import base64
import gzip
import json
from itertools import pairwise

import pytest
from clusternet_engine.model.charts import (
    ChartMissing,
    IndexEntry,
    find_in_index,
    find_tag,
    index_url,
    is_oci,
    oci_chart,
    same_origin,
)
from clusternet_engine.model.helm_records import (
    failed_status,
    go_time,
    needs_upgrade,
    newest_first,
    record_of,
    selector,
    status_of,
)
from clusternet_engine.model.versions import Version, is_strict, parse_version, satisfies
from hypothesis import given
from hypothesis import strategies as st

VERSIONS = st.builds(
    Version,
    st.tuples(*[st.integers(0, 3)] * 3),
    st.lists(st.sampled_from(["alpha", "rc", "1", "2", "10"]), max_size=2).map(tuple),
)


@pytest.mark.parametrize(
    ("version", "constraint", "fits"),
    [
        ("1.2.3", "", True),
        ("1.2.3-rc1", "", False),
        ("1.2.3", "1.2.3", True),
        ("1.2.3", "v1.2.3", True),
        ("v1.2.3", "=1.2.3", True),
        ("1.2.4", "1.2.3", False),
        ("1.2.4", "1.2", True),
        ("1.3.0", "1.2", False),
        ("1.2.9", "1.2.x", True),
        ("2.0.0", "*", True),
        ("1.2.9", "~1.2.3", True),
        ("1.3.0", "~1.2.3", False),
        ("1.9.0", "~1", True),
        ("1.9.0", "^1.2", True),
        ("2.0.0", "^1.2", False),
        ("0.2.9", "^0.2.3", True),
        ("0.3.0", "^0.2.3", False),
        ("0.0.3", "^0.0", True),
        ("0.0.3", "^0.0.3", True),
        ("0.0.4", "^0.0.3", False),
        ("1.2.0", "^1.2", True),
        ("1.2.0", ">=1.2", True),
        ("1.2.9", "1.X", True),
        ("1.2.0", "!=1.2", False),
        ("1.3.0", "~1.2", False),
        ("2.0.0", "~1", False),
        ("1.2.0-rc1", ">=1.0.0-0 <2.0.0", True),
        ("1.5.0", ">=1.2 <2", True),
        ("2.0.0", ">=1.2, <2", False),
        ("1.3.0", "1.2 - 1.4", True),
        ("1.5.0", "1.2 - 1.4", False),
        ("3.0.0", "1.x || 3.x", True),
        ("1.2.3", "!=1.2.3", False),
        ("1.3.0", "!=1.2", True),
        ("1.2.5", "!=1.2", False),
        ("1.3.0", ">1.2", True),
        ("1.2.5", ">1.2", False),
        ("1.2.4", ">1.2.3", True),
        ("1.2.3", ">1.2.3", False),
        ("1.2.3", "<=1.2.3", True),
        ("1.2.9", "<=1.2", True),
        ("1.2.3", "<=1.2.3-rc1", False),
        ("1.2.0-rc1", "1.2.0-rc1", True),
        ("1.2.0-rc2", ">1.2.0-rc1", True),
        ("latest", "latest", True),
        ("latest", "1.0.0", False),
        ("1.0.0", "not a version", False),
        ("1.0.0", ">= x.y", False),
        ("1.0.0", ">=1.0.0.0", False),
        ("1.0.0", ",", False),
        ("1.0.0", "1.x || not a version", False),
        ("1.0.0", "1.x ||", False),
        ("1.2.0", "1.2.0-rc1", False),
        ("1.2.3", "!=1.2.3-rc1", True),
        ("1.2.9", "~> 1.2.3", True),
        ("1.3.0", "~> 1.2.3", False),
    ],
)
def test_constraints(version, constraint, fits):
    assert satisfies(version, constraint) is fits


@pytest.mark.parametrize(("text", "strict"), [("1.2.3", True), ("v1.2.3", False), ("latest", False), ("1.2", False)])
def test_only_whole_versions_are_strict(text, strict):
    assert is_strict(text) is strict


@pytest.mark.parametrize("text", ["latest", "1.x", "1.2.*"])
def test_what_is_no_version(text):
    assert parse_version(text) is None


@given(VERSIONS, VERSIONS, VERSIONS)
def test_versions_are_in_order(one, two, three):
    assert (one < two) + (two < one) + (one == two) == 1
    assert not (one < two < three) or one < three


def test_versions_before_a_release_come_before_it():
    order = ["1.0.0-1", "1.0.0-2", "1.0.0-11", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-rc", "1.0.0", "1.0.1"]
    assert all(parse_version(one) < parse_version(other) for one, other in pairwise(order))


INDEX = {
    "entries": {
        "web": [
            {"version": "1.0.0", "urls": ["web-1.0.0.tgz"], "digest": "sha256:abc"},
            {"version": "2.0.0", "urls": ["https://other/web-2.0.0.tgz"]},
            {"version": "3.0.0-rc1", "urls": ["x"]},
            {"version": "0.1.0"},
            {"version": "no"},
            "nonsense",
        ]
    }
}


def test_charts_are_found_in_an_index():
    assert find_in_index(INDEX, "https://repo/x/", "web", "") == IndexEntry("2.0.0", "https://other/web-2.0.0.tgz", "")
    assert find_in_index(INDEX, "https://repo/x", "web", "~1") == IndexEntry(
        "1.0.0", "https://repo/x/web-1.0.0.tgz", "abc"
    )


@pytest.mark.parametrize(
    ("index", "chart", "version", "message"),
    [
        (None, "web", "", "not the index"),
        ({"entries": None}, "web", "", "not the index"),
        (INDEX, "db", "", "chart db is not in https://repo/index.yaml"),
        (INDEX, "web", "9", "no version 9"),
        ({"entries": {"web": [{"version": "1.0.0-rc"}]}}, "web", "", "no version that is released"),
        (INDEX, "web", "0.1.0", "has no URL"),
    ],
)
def test_a_missing_chart_is_named(index, chart, version, message):
    with pytest.raises(ChartMissing, match=message):
        find_in_index(index, "https://repo", chart, version)


def test_b6_6_b6_7_where_an_oci_chart_is():
    spec = {"repo": "oci://host:5000/path/", "chart": "mysql", "plainHTTP": True}
    assert is_oci(spec)
    assert not is_oci({"repo": "https://host"})
    assert oci_chart(spec).url == "http://host:5000/v2/path/mysql"
    assert oci_chart({"repo": "oci://host", "chart": "mysql"}).url == "https://host/v2/mysql"
    assert index_url("https://host/x/") == "https://host/x/index.yaml"


def test_a8_tags():
    chart = oci_chart({"repo": "oci://host/p", "chart": "c"})
    assert find_tag(["latest", "v1.0.0", "1.0.0", "1.0.0_b1"], chart, "1.0.0") == "1.0.0"
    assert find_tag(["0.9.0", "1.0.0_b1", "1.0.0"], chart, "1.0.0") == "1.0.0"
    assert find_tag(["1.0.0_b1"], chart, "1.0.0+b1") == "1.0.0_b1"
    with pytest.raises(ChartMissing, match=r"needs spec\.version"):
        find_tag(["1.0.0"], chart, "")
    with pytest.raises(ChartMissing, match=r"has no tag v1\.0\.0"):
        find_tag(["v1.0.0"], chart, "v1.0.0")


def test_credentials_are_for_one_server():
    assert same_origin("https://a/x", "https://a/y")
    assert not same_origin("https://a/x", "http://a/x")
    assert not same_origin("https://a/x", "https://b/x")


RELEASE = {
    "name": "r",
    "version": 2,
    "info": {"status": "deployed", "notes": "n", "first_deployed": "2026-01-02T03:04:05.5Z", "description": "d"},
    "chart": {"metadata": {"name": "web", "version": "1.2.0"}},
    "config": None,
}


def secret(release, zipped=True, name="s"):
    text = json.dumps(release).encode()
    packed = base64.b64encode(gzip.compress(text) if zipped else text)
    return {"metadata": {"name": name}, "data": {"release": base64.b64encode(packed).decode()}}


def test_records_are_read_newest_first():
    found = newest_first(
        [
            secret({**RELEASE, "version": 1}, name="one"),
            secret(RELEASE, zipped=False, name="two"),
            {"metadata": {"name": "x"}, "data": {"release": "###"}},
            {"metadata": {"name": "x"}},
        ]
    )
    assert [(record.secret, record.revision) for record in found] == [("two", 2), ("one", 1)]
    assert (found[0].description, found[0].notes) == ("d", "n")
    (bare,) = newest_first([secret({**RELEASE, "info": {"status": "failed"}})])
    assert (bare.status, bare.description, bare.notes, bare.first_deployed) == ("failed", "", "", "")
    assert selector("r") == "owner=helm,name=r"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2026-01-02T03:04:05Z", "2026-01-02 03:04:05 +0000 UTC"),
        ("2026-01-02T03:04:05.123+02:00", "2026-01-02 03:04:05.123 +0200 +0200"),
        ("", ""),
    ],
)
def test_times_as_go_prints_them(text, shown):
    assert go_time(text) == shown


@pytest.mark.parametrize(
    ("spec", "values", "upgrade"),
    [
        ({"chart": "web"}, {}, False),
        ({"chart": "path/web", "version": "v1.2.0"}, {}, False),
        ({"chart": "web", "version": "~1.2"}, {}, False),
        ({"chart": "web", "version": "1.3.0"}, {}, True),
        ({"chart": "web", "version": "1.2.0+b"}, {}, True),
        ({"chart": "web"}, {"a": 1}, True),
        ({"chart": "db"}, {}, True),
    ],
)
def test_c3_19_when_a_release_is_upgraded(spec, values, upgrade):
    assert needs_upgrade(record_of(RELEASE), spec, values) is upgrade


def test_a_release_with_the_wanted_values_is_left_alone():
    record = record_of({**RELEASE, "config": {"a": 1}})
    assert not needs_upgrade(record, {"chart": "web"}, {"a": 1})
    assert needs_upgrade(record, {"chart": "web"}, {})
    early = record_of({**RELEASE, "chart": {"metadata": {"name": "web", "version": "1.2.0-rc1"}}})
    assert not needs_upgrade(early, {"chart": "web", "version": ""}, {})
    built = record_of({**RELEASE, "chart": {"metadata": {"name": "web", "version": "1.2.0+b"}}})
    assert not needs_upgrade(built, {"chart": "web", "version": "v1.2.0+b"}, {})
    assert needs_upgrade(built, {"chart": "web", "version": "1.2.0+c"}, {})


def test_statuses():
    record = record_of(RELEASE)
    status = status_of(record, 7)
    assert status["firstDeployed"] == "2026-01-02 03:04:05.5 +0000 UTC"
    upgraded = record_of({**RELEASE, "info": {**RELEASE["info"], "last_deployed": "2026-01-03T03:04:05Z"}})
    assert status_of(upgraded, 7)["lastDeployed"] == "2026-01-03 03:04:05 +0000 UTC"
    assert (status["phase"], status["version"], status["observedGeneration"]) == ("deployed", 2, 7)
    assert failed_status("why", record, 7) == {**status, "phase": "failed", "description": "why"}
    assert failed_status("why", None, 7) == {"phase": "failed", "description": "why", "observedGeneration": 7}
