"""Where the role `hub` asks its own hub whether it is ready."""

from pathlib import Path

import yaml
from play import ROOT, run_tasks


def test_addresses_in_urls(tmp_path: Path) -> None:
    variables = yaml.safe_load((ROOT / "roles" / "hub" / "vars" / "main.yml").read_text())
    shown = {
        "ansible.builtin.debug": {"msg": variables["__clusternet_hub_address"]},
        "loop": ["0.0.0.0", "::", "192.0.2.1", "2001:db8::1"],
        "vars": {"clusternet_hub_bind_address": "{{ item }}"},
    }
    results = run_tasks([shown], "", tmp_path).results[0]["results"]
    assert [result["msg"] for result in results] == ["127.0.0.1", "127.0.0.1", "192.0.2.1", "[2001:db8::1]"]
