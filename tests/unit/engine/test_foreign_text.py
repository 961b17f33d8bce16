"""Text that somebody else has written is read by the one bounded reader only, in all of the engine."""

import ast
from pathlib import Path

import clusternet_engine
import pytest

SOURCES = Path(clusternet_engine.__file__).parent
LOADERS = {
    "json": {"load", "loads"},
    "orjson": {"loads"},
    "yaml": {"load", "load_all", "safe_load", "safe_load_all", "full_load", "unsafe_load", "CSafeLoader", "SafeLoader"},
    "gzip": {"decompress"},
    "zlib": {"decompress"},
}
API_SERVER = "an answer of an API server"
ALLOWED = {
    "hub/api/catalog.py": API_SERVER,
    "hub/api/schemas.py": API_SERVER,
    "hub/api/store.py": API_SERVER,
    "kube/client.py": API_SERVER,
    "kube/decoding.py": f"{API_SERVER}, of any depth",
    "kube/config.py": "a kubeconfig that whoever starts the program names",
    "kube/credentials.py": "what a program prints that a kubeconfig names",
    "kube/errors.py": API_SERVER,
    "kube/watch.py": API_SERVER,
    "arguments.py": "what the role that asks has written",
    "model/approval.py": "a flag of whoever starts the program",
    "model/documents.py": "the reader itself",
    "model/yaml_reading.py": "the reader itself",
}
"""Files that read by other means, and what they read."""


def loaders(source):
    """Yield the calls and names in a program that read text without limits."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.attr in LOADERS.get(node.value.id, ()):
                yield f"{node.value.id}.{node.attr}"
        elif isinstance(node, ast.ImportFrom) and node.module in LOADERS:
            yield from (f"{node.module}.{one.name}" for one in node.names if one.name in LOADERS[node.module])
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "json":
            yield "json() of an answer"


def test_foreign_text_is_read_by_the_bounded_reader():
    files = {str(path.relative_to(SOURCES)): path.read_text() for path in SOURCES.rglob("*.py")}
    found = {name: list(loaders(text)) for name, text in files.items()}
    others = {name: calls for name, calls in found.items() if calls and name not in ALLOWED}
    assert others == {}, "use clusternet_engine.model.documents"


@pytest.mark.parametrize(
    "source",
    ["import json\njson.loads(x)", "import yaml\nyaml.safe_load(x)", "from orjson import loads", "await answer.json()"],
)
def test_other_ways_to_read_are_noticed(source):
    assert list(loaders(source))
