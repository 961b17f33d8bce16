"""Archives of charts: what is read of them, and archives that keep a reader busy."""

import contextlib
import gzip
import io
import tarfile

import pytest
from clusternet_engine.deploy import archives
from clusternet_engine.deploy.archives import BadArchive, read_archive
from hypothesis import given
from hypothesis import strategies as st

CHART = b"apiVersion: v2\nname: web\nversion: 1.0.0\n"
CRD = b"apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: %s}\n"


def archive(files, **options):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz", **options) as packed:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            packed.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def test_a_chart():
    read = read_archive(
        archive(
            {
                "web/Chart.yaml": CHART,
                "web/values.yaml": b"a: [",
                "web/crds/a.yaml": CRD % b"a" + b"---\n---\n" + CRD % b"b",
                "web/charts/sub/crds/c.json": b'{"kind": "CustomResourceDefinition"}',
                "web/charts/sub/Chart.yaml": b"name: sub",
                "web/crds/README.md": b"a: [",
            }
        )
    )
    assert read.metadata["name"] == "web"
    assert [crd.get("metadata", {}).get("name") for crd in read.crds] == ["a", "b", None]


LAUGHS = b"a: &a [x]\n" + b"\n".join(b"%c: &%c [%s]" % (n, n, b",".join([b"*%c" % (n - 1)] * 9)) for n in b"bcdefghij")


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"web/Chart.yaml": b""}, "holds no chart"),
        ({"web/Chart.yaml": b"[1]"}, "holds no chart"),
        ({"web/Chart.yaml": CHART + b"type: library"}, "library"),
        ({"web/values.yaml": b""}, "holds no chart"),
        ({"web/Chart.yaml": LAUGHS}, "aliases"),
        ({"web/Chart.yaml": CHART, "web/crds/a.yaml": LAUGHS}, "aliases"),
        ({"web/Chart.yaml": CHART, "web/crds/a.yaml": b"- " * 1000}, "nested too deep"),
        ({"web/Chart.yaml": CHART, "web/crds/a.yaml": b"#" * 11 * 2**20}, "it may have 9 MiB"),
        ({"web/Chart.yaml": CHART, **{f"web/crds/{n}.yaml": b"a" * 2**20 for n in range(11)}}, "too large"),
        (
            {"web/Chart.yaml": CHART, **{f"web/crds/{n}.yaml": b"[" + b"a," * 10**5 + b"]" for n in range(6)}},
            "keys and",
        ),
        ({"web/Chart.yaml": CHART, **{f"web/{n}": b"" for n in range(10_001)}}, "more than 10000 files"),
        ({"web/" + "x" * 10**5: b"", "web/Chart.yaml": CHART}, "files that no chart has"),
    ],
)
def test_archives_that_cannot_be_used(files, why):
    with pytest.raises(BadArchive, match=why):
        read_archive(archive(files))


def test_long_descriptions_are_not_read():
    with pytest.raises(BadArchive, match="files that no chart has"):
        read_archive(archive({"web/Chart.yaml": CHART}, format=tarfile.PAX_FORMAT, pax_headers={"a": "x" * 10**6}))


def test_an_archive_is_unpacked_up_to_a_limit(monkeypatch):
    monkeypatch.setattr(archives, "_UNPACKED_LIMIT", 2**20)
    files = {"web/Chart.yaml": CHART, "web/big": bytes(2**21)}
    with pytest.raises(BadArchive, match="more than 1 MiB unpacked"):
        read_archive(archive(files))


@given(st.binary(max_size=600), st.booleans())
def test_any_bytes_are_a_chart_or_refused(content, packed):
    with pytest.raises(BadArchive):
        read_archive(gzip.compress(content) if packed else content)


@given(st.integers(0, 400), st.binary(min_size=1, max_size=8))
def test_damaged_archives_are_a_chart_or_refused(place, damage):
    whole = archive({"web/Chart.yaml": CHART, "web/crds/a.yaml": CRD % b"a"})
    tar = bytearray(gzip.decompress(whole))
    tar[place : place + len(damage)] = damage
    damaged = bytearray(whole)
    damaged[place % len(whole) : place % len(whole) + len(damage)] = damage
    for content in (gzip.compress(bytes(tar)), bytes(damaged)):
        with contextlib.suppress(BadArchive):
            assert isinstance(read_archive(content).metadata, dict)
