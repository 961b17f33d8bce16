"""docs/security.md says what is: every right of the hub, every place of foreign text, and tests that there are."""

import ast
import importlib.util
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from clusternet_lab import cluster
from jinja2 import Environment

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs" / "security.md").read_text()
OPTIONS = {
    "clusternet_hub_system_namespace": "clusternet-system",
    "clusternet_hub_reserved_namespace": "clusternet-reserved",
    "clusternet_hub_secure_port": 0,
    "clusternet_hub_proxy_subjects": [],
    "clusternet_hub_child_rights": "clusternet",
    "__clusternet_hub_advertise_address": "localhost",
}


def rows(header: str) -> list[list[str]]:
    """Return the cells of the table that begins with this header."""
    _, _, rest = TEXT.partition(f"\n| {header} |")
    lines = rest.splitlines()[2:]
    table = lines[: next(number for number, line in enumerate(lines) if not line.startswith("|"))]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table]


def load(name: str) -> ModuleType:
    """Import a file of the fuzzer."""
    folder = str(ROOT / "tests" / "fuzz")
    if folder not in sys.path:
        sys.path.insert(0, folder)
    found = importlib.util.find_spec(name)
    assert found is not None
    return importlib.import_module(name)


def hub_rules() -> list[dict[str, Any]]:
    """Return the rules of the hub's ClusterRole, as the role `hub` makes it."""
    environment = Environment(autoescape=False)
    environment.filters["to_json"] = json.dumps
    template = (ROOT / "roles" / "hub" / "templates" / "objects.yaml.j2").read_text()
    documents = yaml.safe_load_all(environment.from_string(template).render(OPTIONS))
    [role] = [one for one in documents if one["kind"] == "ClusterRole" and one["metadata"]["name"] == "clusternet:hub"]
    return role["rules"]


def rights(groups: list[str], resources: list[str], verbs: list[str], only: list[str]) -> set[tuple[str, ...]]:
    """Return every single right of a rule or of a row: group, resource, verb, and the name if only one is meant."""
    return set(itertools.product((group or "core" for group in groups), resources, verbs, only or [""]))


def told_rights() -> set[tuple[str, ...]]:
    """Return every right in the table."""
    found = set()
    for groups, resources, verbs, _ in rows("group"):
        resource, _, only = resources.partition(" (only ")
        names = only.rstrip(")").split(", ") if only else []
        found |= rights(groups.split(", "), resource.split(", "), verbs.split(", "), names)
    return found


def test_every_right_of_the_hub_is_in_the_table_with_its_price() -> None:
    given = set()
    for rule in hub_rules():
        given |= rights(rule["apiGroups"], rule["resources"], rule["verbs"], rule.get("resourceNames", []))
    assert given == told_rights(), "add the rights to docs/security.md, with what they cost"
    assert all(row[3] for row in rows("group")), "a right without a price"


def test_every_place_of_foreign_text_is_fuzzed_and_listed() -> None:
    assert [row[0] for row in rows("place")] == list(load("places").TARGETS)
    assert all(row[1] for row in rows("place"))


def attacks() -> set[str]:
    """Return `<who>-<name>` of every attack, read from the files of tests/support/attacks."""
    found = set()
    for file in (ROOT / "tests" / "support" / "attacks").glob("*.py"):
        for function in ast.walk(ast.parse(file.read_text())):
            for decorator in function.decorator_list if isinstance(function, ast.FunctionDef) else ():
                if isinstance(decorator, ast.Call) and getattr(decorator.func, "id", "") == "attack":
                    found.add(f"{ast.literal_eval(decorator.args[0])}-{function.name}")  # type: ignore[attr-defined]
    return found


def test_every_attack_is_told_and_every_told_one_is_there() -> None:
    told = set(re.findall(r"\b((?:child|user|registrant|stranger)-[a-z]\w+)`", TEXT))
    assert told == attacks()


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`((?:tests|roles|requirements)/[\w./-]+)", TEXT))))
def test_the_files_are_there(path: str) -> None:
    assert (ROOT / path).exists()


@pytest.mark.parametrize("test", sorted(set(re.findall(r"`(tests/[\w./]+::\w+)`", TEXT))))
def test_the_tests_are_there(test: str) -> None:
    file, _, function = test.partition("::")
    assert re.search(rf"^(?:async )?def {function}\(", (ROOT / file).read_text(), re.MULTILINE)


@pytest.mark.parametrize("variable", sorted(set(re.findall(r"\bclusternet_(?:hub|agent|engine)_\w+", TEXT))))
def test_the_variables_are_there(variable: str) -> None:
    role = variable.split("_")[1]
    assert f"\n{variable}:" in "\n" + (ROOT / "roles" / role / "defaults" / "main.yml").read_text()


@pytest.mark.parametrize("metric", sorted(set(re.findall(r"`(clusternet_(?!hub|agent|engine)\w+)`", TEXT))))
def test_the_metrics_are_there(metric: str) -> None:
    assert f'"{metric}"' in (ROOT / "engine" / "src" / "clusternet_engine" / "metrics.py").read_text()


def test_the_wheel_is_reproducible(tmp_path: Path) -> None:
    """Two copies of the source, made at different times, give the same file."""
    wheels = []
    for age, copy in enumerate((tmp_path / "one", tmp_path / "two")):
        shutil.copytree(ROOT / "engine", copy, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        for path in copy.rglob("*"):
            os.utime(path, (1e9 + age, 1e9 + age))
        build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
        subprocess.run([*build, "--wheel-dir", copy / "dist", copy], check=True, timeout=120)
        wheels += (copy / "dist").glob("*.whl")
    first, second = wheels
    assert first.read_bytes() == second.read_bytes()


def test_the_labs_keep_the_audit_policy_that_is_recommended() -> None:
    recommended = yaml.safe_load((ROOT / "roles" / "hub" / "files" / "audit-policy.yaml").read_text())
    assert yaml.safe_load(cluster._AUDIT_POLICY) == recommended
    assert recommended["rules"][0]["level"] == "None"
