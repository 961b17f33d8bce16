"""All YAML of roles and playbooks can be read; Ansible reads it only when a role runs."""

from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]
FILES = sorted(file for folder in ("roles", "playbooks") for file in (ROOT / folder).rglob("*.yml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_it_is_yaml(file):
    with file.open() as text:
        list(yaml.safe_load_all(text))
