"""Feeds, and the objects they mean."""

import pytest
from clusternet_engine.model import constants as names
from clusternet_engine.model.feeds import (
    chart_feed,
    feed_reference,
    feed_references,
    manifest_feed,
    manifest_references,
)
from publishing import chart, config_map, deployment, feed_of, manifest_of, native_namespace


@pytest.mark.parametrize("obj", [deployment("web", "foo"), config_map("c", "foo"), native_namespace("foo")])
def test_the_feed_of_a_manifest_is_that_of_its_object(obj):
    assert manifest_feed(manifest_of(obj)) == feed_of(obj)


@pytest.mark.parametrize("label", [names.CONFIG_KIND_LABEL, names.CONFIG_NAME_LABEL, names.CONFIG_VERSION_LABEL])
def test_no_feed_means_a_manifest_whose_labels_do_not_say_what_it_holds(label):
    manifest = manifest_of(deployment("web", "foo"))
    del manifest["metadata"]["labels"][label]
    assert manifest_feed(manifest) is None
    assert list(manifest_references(manifest)) == []
    del manifest["metadata"]["labels"]
    assert manifest_feed(manifest) is None


def test_an_object_is_meant_with_and_without_its_namespace_and_one_without_once():
    references = list(manifest_references(manifest_of(deployment("web", "foo"))))
    assert references == ["apps/v1/Deployment/foo/web", "apps/v1/Deployment/web"]
    assert list(manifest_references(manifest_of(native_namespace("foo")))) == ["v1/Namespace/foo"]


def test_the_version_of_a_chart_feed_does_not_matter():
    mine = chart("mine", "foo")
    assert chart_feed(mine) == feed_of(mine)
    assert feed_reference({**feed_of(mine), "apiVersion": "any/v9"}) == feed_reference(chart_feed(mine))


def test_each_reference_of_a_list_is_told_once():
    web, mine = feed_of(deployment("web", "foo")), feed_of(chart("mine", "foo"))
    assert list(feed_references([web, mine, web, {**mine, "apiVersion": "v1"}])) == [
        "apps/v1/Deployment/foo/web",
        feed_reference(mine),
    ]
