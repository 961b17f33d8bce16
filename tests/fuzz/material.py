"""Makes the inputs of the fuzzer of foreign text: arbitrary values, damaged texts, and the bombs that are known."""

from __future__ import annotations

import base64
import copy
import gzip
import io
import json
import random
import tarfile
from collections.abc import Iterator
from typing import Any

WORDS = (
    "apiVersion", "kind", "metadata", "name", "namespace", "labels", "annotations", "spec", "status", "data", "items",
    "conditions", "type", "replicas", "feeds", "raw", "v1", "ConfigMap", "apps/v1", "Deployment", "True", "", "a",
    "..", "/", "%2e%2e", "\u0000", "\ud800", "ü", "-", "~1", "~0", "null", "yes", "0x1F", "0644", "1e400", "<<", "@",
)  # fmt: skip
NUMBERS = (0, 1, -1, 2**31, 2**63 - 1, -(2**63), 2**64, 10**30, 0.5, -0.0, 1e308)


def value(chance: random.Random, depth: int = 4) -> Any:
    """Return an arbitrary value of JSON."""
    match chance.randrange(12 if depth else 7):
        case 0:
            return None
        case 1:
            return chance.choice((True, False))
        case 2 | 3:
            return chance.choice(NUMBERS)
        case 4 | 5 | 6:
            return word(chance)
        case 7 | 8:
            return [value(chance, depth - 1) for _ in range(chance.randrange(5))]
        case _:
            return {word(chance): value(chance, depth - 1) for _ in range(chance.randrange(5))}


def word(chance: random.Random) -> str:
    """Return a text: one that means something somewhere, or noise."""
    if chance.random() < 0.8:
        return chance.choice(WORDS)
    return "".join(
        chr(chance.choice((chance.randrange(128), chance.randrange(0x3000)))) for _ in range(chance.randrange(20))
    )


def varied(chance: random.Random, example: Any) -> Any:
    """Return an example with some of its values replaced, removed, or moved to where they don't belong."""
    made = copy.deepcopy(example)
    moved = False
    for _ in range(chance.choice((0, 1, 1, 2, 5))):
        places = list(_places(made))
        if not places:
            return value(chance)
        container, key = chance.choice(places)
        match chance.randrange(6):
            case 0:
                del container[key]
            case 1 | 2 if moved:
                container[key] = word(chance)
            case 1:
                container[key], moved = deep(chance), True
            case 2:
                container[key], moved = copy.deepcopy(chance.choice(places)[0]), True
            case _:
                container[key] = value(chance)
    return made


def deep(chance: random.Random) -> Any:
    """Return a value with many levels."""
    made: Any = value(chance, 1)
    for _ in range(chance.choice((10, 190, 210, 260))):
        made = {"a": made} if chance.random() < 0.5 else [made]
    return made


def _places(made: Any) -> Iterator[tuple[Any, Any]]:
    below = made.items() if isinstance(made, dict) else enumerate(made) if isinstance(made, list) else ()
    for key, inner in list(below):
        yield made, key
        yield from _places(inner)


def json_text(chance: random.Random, example: Any) -> bytes:
    """Return JSON, mostly of a varied example; sometimes it is damaged, or deeper than anybody writes."""
    if chance.random() < 0.1:
        level, depth = chance.choice((b'{"a":', b"[")), chance.choice((250, 1_000, 1_100, 10_000, 100_000))
        return level * depth + b"1" + (b"}" if level[:1] == b"{" else b"]") * depth
    text = json.dumps(varied(chance, example)).encode()
    return damaged(chance, text) if chance.random() < 0.3 else text


def damaged(chance: random.Random, text: bytes) -> bytes:
    """Return a text with bytes changed, lost, doubled or put in."""
    for _ in range(chance.choice((1, 1, 3))):
        position = chance.randrange(len(text) + 1)
        match chance.randrange(5):
            case 0:
                text = text[:position] + chance.randbytes(chance.randrange(8)) + text[position:]
            case 1:
                text = text[:position]
            case 2:
                text = text[:position] + text[max(0, position - 20) :]
            case 3:
                text = text[:position] + text[position + 1 :]
            case _:
                text = text[:position] + chance.choice(_TOKENS).encode() + text[position:]
    return text


_TOKENS = (
    "&a ", "*a", "*b ", "&b [*a, *a]", "!!python/object:os.system ", "!!binary ", "!!set ", "!!timestamp ", "!x ",
    "---\n",
    "...\n", "%TAG ! x\n", "%YAML 9.9\n", "? ", ": ", "- ", "|\n  ", ">-\n", "{", "}", "[", "]", ",", "\n", "\t", "#",
    "<<: *a\n", "<<: [*a, *b]\n", "1:30", "2001-01-01", ".inf", ".nan", "1_000", "0o7", "\u2028", "\ufeff", '"\\x', "'",
)  # fmt: skip


def yaml_text(chance: random.Random, example: Any) -> bytes:
    """Return YAML: of a varied example, a mixture of what it is made of, or a bomb."""
    match chance.randrange(10):
        case 0:
            return yaml_bomb(chance)
        case 1 | 2:
            return "".join(chance.choice((*_TOKENS, *WORDS)) for _ in range(chance.randrange(60))).encode(
                "utf-8", "surrogatepass"
            )
        case 3 | 4 | 5:
            return damaged(chance, json_text(chance, example))
        case _:
            return json_text(chance, example)


def yaml_bomb(chance: random.Random) -> bytes:
    """Return YAML that stands for far more than it is, or takes long to read."""
    width, levels = chance.choice((2, 9, 30)), chance.choice((5, 9, 40))
    match chance.randrange(6):
        case 0:
            lines = ["a0: &a0 [" + "x, " * width + "x]"]
            lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * width)}]" for n in range(1, levels)]
        case 1:
            lines = ["a0: &a0 {x: y}"]
            lines += [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * width)}], k{n}: v}}" for n in range(1, levels)]
        case 2:
            lines = ["a: &a", "  b: *a"]
        case 3:
            lines = [chance.choice(("- ", "[", "{a: ", "? ")) * chance.choice((100, 5_000, 100_000))]
        case 4:
            lines = ["a: " + "1" * 300_000, "b: 0x" + "f" * 200_000]
        case _:
            lines = ["- a"] * 300_000
    return "\n".join(lines).encode()


def json_patch(chance: random.Random, example: Any) -> Any:
    """Return a JSON patch: with operations of every kind on places that are there or not, or one that doubles."""
    if chance.random() < 0.1:
        return [{"op": "copy", "from": "", "path": f"/x{n}"} for n in range(40)]
    if chance.random() < 0.05:
        return [{"op": "copy", "from": "/a", "path": "/a/-"} for _ in range(60)]
    pointers = ["", "/", "/-", "/x", "/a/-", "/metadata/name", *_pointers(example)]
    operations = [
        {
            "op": chance.choice(("add", "remove", "replace", "move", "copy", "test")),
            "path": chance.choice(pointers),
            "from": chance.choice(pointers),
            "value": value(chance, 2),
        }
        for _ in range(chance.randrange(12))
    ]
    return varied(chance, operations) if chance.random() < 0.4 else operations


def _pointers(example: Any, path: str = "") -> Iterator[str]:
    below = example.items() if isinstance(example, dict) else enumerate(example) if isinstance(example, list) else ()
    for key, inner in below:
        yield f"{path}/{key}"
        yield from _pointers(inner, f"{path}/{key}")


def archive(chance: random.Random, chart: bytes, crd: bytes) -> bytes:
    """Return the archive of a chart: with members of every type and name, or damaged, or nothing but air."""
    output = io.BytesIO()
    names = (
        "c/Chart.yaml",
        "c/crds/a.yaml",
        "c/charts/d/crds/b.json",
        "../x",
        "/etc/passwd",
        "c/values.yaml",
        "Chart.yaml",
    )
    with tarfile.open(
        fileobj=output, mode="w", format=chance.choice((tarfile.GNU_FORMAT, tarfile.PAX_FORMAT))
    ) as packed:
        for name in ("c/Chart.yaml", *chance.choices(names, k=chance.randrange(5))):
            member = tarfile.TarInfo(name)
            content = chart if name.endswith("Chart.yaml") else crd
            if chance.random() < 0.02:
                content = bytes(chance.choice((2**20, 11 * 2**20)))
            if chance.random() < 0.15:
                member.type = chance.choice((tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE, b"Z"))
                member.linkname, content = "../../etc/passwd", b""
            member.size = len(content)
            packed.addfile(member, io.BytesIO(content))
    plain = output.getvalue()
    if chance.random() < 0.1:
        plain = damaged(chance, plain)
    text = gzip.compress(plain, 1)
    return damaged(chance, text) if chance.random() < 0.2 else text


def encoded(chance: random.Random, text: bytes) -> str:
    """Return the base64 of a text, sometimes damaged."""
    made = base64.b64encode(text)
    return (damaged(chance, made) if chance.random() < 0.1 else made).decode("latin-1")
