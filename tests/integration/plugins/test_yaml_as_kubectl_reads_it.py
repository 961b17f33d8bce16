"""The cases of YAML to which both readers are held are what kubectl and Helm make of them."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from clusternet_lab import programs
from clusternet_lab.progress import Silent
from yaml_cases import HEAD, READ, REFUSED


def indented(text: str) -> str:
    """Return an object that has a case in `spec`."""
    lines = text.lstrip("\ufeff").splitlines()
    return HEAD + "spec:\n" + "".join(f"  {line}\n" for line in lines)


def kubectl(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    """Let kubectl read a text and print it as JSON, without asking a server."""
    (folder / "case.yaml").write_text(text, encoding="utf-8")
    arguments = ["label", "--local", "-f", folder / "case.yaml", "read=yes", "-o", "json"]
    return subprocess.run(
        ["kubectl", *arguments],
        executable=programs.paths()["kubectl"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("text", READ)
def test_kubectl_reads_it_so(tmp_path: Path, text: str) -> None:
    done = kubectl(tmp_path, indented(text))
    assert done.returncode == 0, done.stderr
    assert numbers_alike(json.loads(done.stdout)["spec"]) == numbers_alike(READ[text])


@pytest.mark.parametrize("text", REFUSED)
def test_kubectl_refuses_it(tmp_path: Path, text: str) -> None:
    assert kubectl(tmp_path, indented(text)).returncode != 0


def test_helm_reads_it_so(tmp_path: Path) -> None:
    """Values of a chart; all cases at once, since each start of Helm takes a moment."""
    programs.ensure(nodes=False, helm=True, progress=Silent())
    (tmp_path / "templates").mkdir()
    (tmp_path / "Chart.yaml").write_text("apiVersion: v2\nname: cases\nversion: 1.0.0\n")
    (tmp_path / "templates" / "cases.yaml").write_text("read: {{ .Values.cases | toJson }}\n")
    lines = []
    for number, text in enumerate(READ):
        lines += [f"  c{number}:", *(f"    {line}" for line in text.lstrip("\ufeff").splitlines())]
    (tmp_path / "cases.yaml").write_text("cases:\n" + "\n".join(lines) + "\n", encoding="utf-8")
    command = [programs.HELM.path, "template", "cases", tmp_path, "--values", tmp_path / "cases.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    read = json.loads(done.stdout.partition("read: ")[2])
    for number, text in enumerate(READ):
        assert numbers_alike(read[f"c{number}"]) == numbers_alike(READ[text]), text


def numbers_alike(value: Any) -> Any:
    """Return a value whose whole numbers are floats where they are too large for a float to be exact."""
    if isinstance(value, dict):
        return {key: numbers_alike(item) for key, item in value.items()}
    if isinstance(value, list):
        return [numbers_alike(item) for item in value]
    large = isinstance(value, int) and not isinstance(value, bool) and abs(value) > 2**53
    return float(value) if large else value
