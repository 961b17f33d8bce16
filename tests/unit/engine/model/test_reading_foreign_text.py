"""The bounded reader: whatever comes, it gives a value within the limits or says which limit it breaks."""

import base64
import contextlib
import gzip
import tracemalloc

import orjson
import pytest
import yaml
from clusternet_engine.model import yaml_reading
from clusternet_engine.model.documents import (
    DocumentError,
    read_document,
    read_documents,
    read_json,
    read_kubernetes,
    read_part,
    write_yaml,
)
from clusternet_engine.model.helm_records import newest_first
from clusternet_engine.model.limits import MAX_DEPTH, OBJECT, Limits, weigh
from hypothesis import example, given
from hypothesis import strategies as st

READERS = [read_document, read_kubernetes, read_documents]


def lines(first, make, count=12):
    return "\n".join([f"a0: &a0 {first}", *(f"a{n}: &a{n} {make(n, [f'*a{n - 1}'] * 9)}" for n in range(1, count))])


LAUGHS = {
    "sequences": lines("[x]", lambda n, parts: f"[{', '.join(parts)}]"),
    "maps": lines("{k: x}", lambda n, parts: f"{{{', '.join(f'k{i}: {part}' for i, part in enumerate(parts))}}}"),
    "merge keys": lines("{k: x}", lambda n, parts: f"{{<<: [{', '.join(parts)}], k{n}: 1}}"),
    "both": lines("[x]", lambda n, parts: f"{{a: {parts[0]}, b: [{', '.join(parts[1:])}]}}"),
    "long texts": f"- &a {'x' * 100_000}\n" + "- *a\n" * 40,
    "long keys": f"- &a {{? {'x' * 100_000}\n : 1}}\n" + "- *a\n" * 40,
    "many texts": "- &a x\n" + "- *a\n" * OBJECT.nodes,
    "itself": "&a [*a]",
    "itself in a map": "a: &a {b: {c: *a}}",
    "itself merged": "a: &a {<<: *a}",
}
DEEP = {
    "lists of JSON": "[" * 5000 + "]" * 5000,
    "maps of JSON": '{"a":' * 5000 + "1" + "}" * 5000,
    "one level too deep": "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1),
    "lists that never end": "[" * 100_000,
    "maps that never end": "{a: " * 100_000,
    "lists in blocks": "- " * 100_000 + "x",
    "maps in blocks": "\n".join(" " * n + "a:" for n in range(500)),
    "by aliases": "\n".join(["a0: &a0 []", *(f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, MAX_DEPTH + 1))]),
}


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("text", LAUGHS.values(), ids=LAUGHS)
def test_aliases_count_as_often_as_they_are_used(read, text):
    with pytest.raises(DocumentError, match="aliases"):
        read(text)


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("text", DEEP.values(), ids=DEEP)
def test_what_is_nested_too_deep_is_told(read, text):
    with pytest.raises(DocumentError, match=f"nested too deep: it may have {MAX_DEPTH} levels"):
        read(text)


@pytest.mark.parametrize(
    "piece",
    [r'",,,,,"', r'"\",,,,,"', r'"\\",",,,,\\"', r'",,,\\\",,"', r'"\u002c\n,,,,,"', r'{",,,,,":"é"}'],
    ids=repr,
)
def test_commas_in_texts_are_no_values(piece):
    text = f"[{','.join([piece] * (OBJECT.nodes // 4))}]"
    assert text.count(",") > OBJECT.nodes
    assert read_json(text) == read_json(text.encode()) == orjson.loads(text)


@pytest.mark.parametrize("text", ["[" + '"ab",' * 500_000 + "1]", "[" + '{"a":1},' * 370_000 + "1]"])
def test_refusing_many_values_takes_little_memory(text):
    given = text.encode()
    tracemalloc.start()
    try:
        with pytest.raises(DocumentError, match="keys and values"):
            read_json(given)
        assert tracemalloc.get_traced_memory()[1] < 2 * len(given)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("text", ["[" * MAX_DEPTH + "]" * MAX_DEPTH, "- " * MAX_DEPTH + "x"])
def test_what_is_read_can_be_written(text):
    value = read_document(text)
    assert orjson.loads(orjson.dumps({"items": [{"template": value}]}))["items"][0]["template"] == value
    assert read_document(write_yaml(value)) == value


@pytest.mark.parametrize("read", [read_json, *READERS])
@pytest.mark.parametrize("text", ["[" + "1," * OBJECT.nodes + "1]", "[" + "[]," * OBJECT.nodes + "1]"])
def test_many_values_are_too_many(read, text):
    with pytest.raises(DocumentError, match=f"it may have {OBJECT.nodes} keys and values"):
        read(text)


@pytest.mark.parametrize("read", [read_json, *READERS])
@pytest.mark.parametrize("character", ["x", "ü"])
def test_a_long_text_is_not_even_parsed(read, character):
    text = f'"{character * OBJECT.size}"'
    for one in (text, text.encode()) if read is not read_document else (text,):
        with pytest.raises(DocumentError, match="it may have 3 MiB"):
            read(one)


@pytest.mark.parametrize(
    "text",
    [
        "a: " + "1" * 5000,
        "a: 0x" + "f" * 100_000,
        "a: !!int " + "1" * 500,
        "a: 1." + "1" * 500,
        "a: !!bool x",
        "a: !!int ''",
        "a: !!float ''",
        "a: *b",
        "? {a: 1}\n: 2",
        "? &a [1]\n: 2",
        "a: &a [1]\n*a : 2",
        "<<: 1",
        "<<: [1]",
        'a: "\\ud800"',
        "a: \x00",
        "%TAG ! a:\n" * 2,
        "".join(f"%TAG !{n}! a:\n" for n in range(200)) + "--- a",
        b"\xff\xfe\x00",
        "a: 1".encode("utf-16"),
    ],
)
@pytest.mark.parametrize("read", [read_kubernetes, read_documents])
def test_what_has_no_value_is_refused(read, text):
    with pytest.raises(DocumentError):
        read(text)


@pytest.mark.parametrize("text", ["password: [hunter2", "hunter2: *hunter2", "!!int hunter2", "a: !!int hunter2"])
def test_what_is_in_a_text_is_not_told(text):
    with pytest.raises(DocumentError) as failure:
        read_kubernetes(text)
    assert "hunter2" not in str(failure.value)
    with pytest.raises(DocumentError) as failure:
        read_json(text)
    assert "hunter2" not in str(failure.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ('{"a": 1}', {"a": 1}),
        ("a: &x {b: 1}\nc: &y {<<: *x, d: 2}\ne: {<<: [*x, *y], b: 3}", {"e": {"b": 3, "d": 2}}),
        ("a: &x {b: 1}\nc: {<<: [{b: 2}, *x]}", {"c": {"b": 2}}),
        ("&k key: v\nother: *k", {"key": "v", "other": "key"}),
        ("? &k 7\n: *k\n", {"7": 7}),
        ("{'<<': 1}", {"<<": 1}),
        ("a: &x 1\nb: &x 2\nc: *x", {"c": 2}),
    ],
)
def test_objects_are_read_as_before(text, value):
    read = read_kubernetes(text)
    assert read == value or {key: read[key] for key in value} == value
    assert orjson.loads(orjson.dumps(read)) == read


def test_documents_of_a_text():
    assert read_documents("a: 1\n---\n---\n- b\n") == [{"a": 1}, None, ["b"]]
    assert read_documents("") == []
    with pytest.raises(DocumentError, match="aliases stands for nothing"):
        read_documents("a: &a 1\n---\nb: *a")


def test_all_documents_of_a_text_have_one_limit():
    with pytest.raises(DocumentError, match="it may have 100 keys and values"):
        read_documents("--- a\n" * 101, Limits(size=2**20, nodes=100))


def test_a_value_that_contains_itself_is_weighed_to_an_end():
    value = []
    value += [value, value]
    assert weigh(value).nodes > 0
    with pytest.raises(DocumentError):
        OBJECT.check_value(value)
    value = {}
    value["a"] = value
    with pytest.raises(DocumentError, match="nested too deep"):
        OBJECT.check_value(value)


def test_texts_that_were_read_are_not_kept_for_ever():
    texts = [f"a{n}: {'x' * 2**19}" for n in range(6)]
    values = [read_document(text) for text in texts]
    assert read_document(texts[-1]) is values[-1]
    assert read_document(texts[0]) is not values[0]


def test_helm_records_that_are_bombs_are_left_out():
    def secret(content):
        packed = base64.b64encode(base64.b64encode(gzip.compress(content))).decode()
        return {"metadata": {"name": "x"}, "data": {"release": packed}}

    release = {
        "version": 1,
        "info": {"status": "deployed"},
        "chart": {"metadata": {"name": "web", "version": "1"}},
        "config": {"a": 1},
    }
    bombs = [b" " * 2**26, b"[" * 10**6, b'{"info": ' * 10**6, b'"' + b"x" * 2**26 + b'"', b"[1]"]
    records = newest_first([secret(orjson.dumps(release)), *map(secret, bombs), {"metadata": {"name": "x"}}])
    assert [record.values for record in records] == [{"a": 1}]


WORDS = [
    "&a",
    "*a",
    "<<:",
    "[",
    "]",
    "{",
    "}",
    "?",
    "a",
    "1",
    "0x",
    "!!",
    "!",
    "'",
    '"',
    "~",
    "yes",
    "#",
    "\ufeff",
    "é",
    ".inf",
    "1e9",
    ">-",
    "|",
]
PIECES = st.sampled_from([*WORDS, "&a ", "- ", ", ", ": ", "  ", "\n", "\t", "%TAG ! a:\n", "---\n", "|\n"])
TEXTS = st.binary(max_size=200) | st.text(max_size=200) | st.lists(PIECES, max_size=60).map("".join)


@given(TEXTS)
@example("&a [*a, *a]")
@example("? |\n a\n: b")
def test_any_text_is_a_value_within_the_limits_or_refused(text):
    limits = Limits(size=100, nodes=30)
    with contextlib.suppress(DocumentError):
        documents = yaml_reading.read_yaml(text, limits)
        weight = weigh(documents)
        assert weight.nodes - 1 <= limits.nodes
        assert weight.characters <= limits.size
        assert orjson.loads(orjson.dumps(documents)) == documents
    for read in (read_kubernetes, read_json):
        try:
            value = read(text, limits)
        except DocumentError:
            continue
        assert weigh(value).nodes <= limits.nodes
        assert orjson.loads(orjson.dumps(value)) == value


@given(st.lists(PIECES, max_size=60).map("".join))
def test_the_work_is_bounded_by_the_events(text):
    """The parser is asked for one event more than the limit at most, whatever the aliases stand for."""
    limits = Limits(size=10_000, nodes=20)
    parser, asked = yaml_reading._Parser(text), 0

    class Counting:
        def get_event(self):
            nonlocal asked
            event = parser.get_event()
            asked += isinstance(event, yaml.NodeEvent)
            return event

    with contextlib.suppress(DocumentError, yaml.YAMLError):
        yaml_reading._Builder(limits, None).build(Counting())
    assert asked <= limits.nodes + 1


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(blacklist_categories=["Cs"]), max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("ab<~1", max_size=3), inner, max_size=4),
)


@given(JSON)
def test_json_is_read_as_it_is(value):
    text = orjson.dumps(value)
    assert read_json(text) == read_kubernetes(text) == value
    weight = weigh(value)
    exact = Limits(size=max(len(text), 1), nodes=weight.nodes)
    assert read_json(text, exact) == value
    with pytest.raises(DocumentError):
        read_json(text, Limits(size=len(text), nodes=weight.nodes - 1))
    with pytest.raises(DocumentError):
        read_json(text, Limits(size=len(text) - 1, nodes=weight.nodes))


@given(JSON, st.lists(st.text("ab<~1", max_size=3), max_size=3))
def test_a_part_is_what_the_whole_has_at_its_path(value, path):
    text = write_yaml(value)
    whole = read_kubernetes(text)
    above = whole
    for key in path:
        if isinstance(above, list):
            with pytest.raises(DocumentError, match="a list where a map should be"):
                read_part(text, tuple(path), OBJECT)
            return
        above = above.get(key) if isinstance(above, dict) else None
    part = read_part(text, tuple(path), OBJECT)
    for key in path:
        if not isinstance(whole, dict):
            assert part == whole
            return
        assert set(part) <= {key}
        if key not in whole:
            assert part == {}
            return
        part, whole = part[key], whole[key]
    assert part == whole


@given(TEXTS, st.lists(st.sampled_from(["a", "1", "x"]), max_size=2))
@example("x: &a {k: [v]}\na: {<<: *a, 1: *a}", ["a"])
@example("x: &a {k: v}\n<<: [*a, {a: {1: *a}}]", ["a", "1"])
def test_a_part_of_any_text_is_a_part_of_its_value_or_refused(text, path):
    limits = Limits(size=100, nodes=30)
    try:
        whole = yaml_reading.read_yaml(text, limits)
    except DocumentError:
        return
    try:
        parts = yaml_reading.read_yaml(text, limits, yaml_reading.Part(tuple(path), 60))
    except DocumentError:
        return  # a list is where a map should be
    for value, part in zip(whole, parts, strict=True):
        for key in path:
            if not isinstance(value, dict) or key not in value:
                break
            value, part = value[key], part[key]
        else:
            assert part == value


ANCHORS = "b: {" + ", ".join(f"k{n}: &a{n} x" for n in range(50)) + "}"


@pytest.mark.parametrize("text", ["a: [" + "x, " * 50 + "x]", ANCHORS, "b: &a [" + "x, " * 50 + "x]"])
def test_what_is_kept_of_a_large_text_has_a_limit_of_its_own(text):
    large = Limits(size=10_000, nodes=1000)
    assert yaml_reading.read_yaml("c: [" + "x, " * 50 + "x]", large, yaml_reading.Part(("a",), 9))
    with pytest.raises(DocumentError, match="too much of it would have to be kept"):
        yaml_reading.read_yaml(text, large, yaml_reading.Part(("a",), 9))


@pytest.mark.parametrize("character", [",", '\\"', "\\\\", "[]"])
def test_a_long_text_in_json_is_one_value(character):
    text = '{"a":"' + character * (OBJECT.size // 4) + '"}'
    assert list(read_json(text)) == list(read_json(text.encode())) == ["a"]
    with pytest.raises(DocumentError, match="keys and values"):
        read_json(text, Limits(size=OBJECT.size, nodes=1))


@pytest.mark.parametrize("read", [read_json, read_kubernetes])
def test_json_with_too_many_values_is_not_even_built(read, monkeypatch):
    monkeypatch.setattr("clusternet_engine.model.documents.orjson.loads", lambda text: pytest.fail("it is built"))
    for text in ('{"a,b": [' + "[]," * 30 + "[]]}", "[" + '"\\",",' * 30 + "1]"):
        for form in (text, text.encode()):
            with pytest.raises(DocumentError, match="keys and values"):
                read(form, Limits(size=1000, nodes=30))
