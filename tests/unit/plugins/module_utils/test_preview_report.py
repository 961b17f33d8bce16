"""Previews tell what changes on a cluster, and don't tell the values of overrides."""

import json

import pytest

pytest.importorskip("clusternet_engine")

from ansible_collections.clusternet.core.plugins.module_utils.preview import ClusterPreview, SubscriptionPreview
from ansible_collections.clusternet.core.plugins.module_utils.preview_report import PreviewReport
from ansible_collections.clusternet.core.plugins.module_utils.redact import Redactor

PLANTED = "planted-s3cret"


def config(**data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "n"}, "data": data}


def chart(version):
    metadata = {"name": "h", "namespace": "n"}
    return {"kind": "HelmChart", "metadata": metadata, "spec": {"chart": "h", "version": version}}


def preview(now, wanted, plain_now, plain, charts=()):
    there = [(one, {}) for one in charts]
    cluster = ClusterPreview("edge", "edge", [wanted], [now], there, there, [plain, chart("1")], [plain_now], [])
    return SubscriptionPreview("n", "s", "Scheduled", "", {}, [cluster])


def test_changes_of_the_object_itself_show_those_of_overrides_do_not():
    plain_now, plain = config(own="1", other="a"), config(own="2", other="a")
    now, wanted = config(own="1", other=PLANTED), config(own="2", other=PLANTED + "2")
    told = PreviewReport(Redactor()).diffs(preview(now, wanted, plain_now, plain))
    assert [told[0][side]["data"]["own"] for side in ("before", "after")] == ["1", "2"]
    assert told[0]["before"]["data"]["other"] != told[0]["after"]["data"]["other"]
    assert PLANTED not in json.dumps(told)
    assert PLANTED in json.dumps(
        PreviewReport(Redactor(show_values=True)).diffs(preview(now, wanted, plain_now, plain))
    )


def test_what_stays_equal_is_no_change_where_it_comes_from_another_side():
    """An override is made that sets what the object has had of itself."""
    same = config(a="same")
    found = preview(same, same, same, config(a="before"))
    assert PreviewReport(Redactor()).diffs(found) == []


def test_views_of_objects_and_charts_hide_what_overrides_set():
    found = preview(config(a="b"), config(a=PLANTED), config(a="b"), config(a="b"), charts=[chart(PLANTED)])
    shown = PreviewReport(Redactor()).view(found)["clusters"][0]
    assert PLANTED not in json.dumps(shown)
    assert shown["charts"][0]["spec"]["chart"] == "h"
    assert shown["objects"][0]["metadata"] == {"name": "c", "namespace": "n"}
