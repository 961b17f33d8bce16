"""No secret shows in any output: of playbooks and modules at -vvv with diffs, of process lists, of log files.

Nor does a published Secret stand anywhere on the parent but in Secrets.
"""

import base64
import binascii
import json
import re
import secrets as randomness
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from deployment import SYSTEM, Deployment
from play import run_tasks

CHILDREN = ("child1", "child2")


def secrets(deployment: Deployment) -> dict[str, bytes]:
    """Return every secret of the deployment, by what it is."""
    bootstrap = deployment.bootstrap_token()
    found = {"bootstrap token": bootstrap.partition(".")[2]}
    found["hub's token"] = deployment.parent.secret(SYSTEM, "clusternet-hub")["token"]
    for child in CHILDREN:
        found[f"{child}'s token on the parent"] = deployment.credential(child)["token"]
        for account in ("clusternet-agent", "clusternet-app-deployer"):
            found[f"token of {account} on {child}"] = deployment.children[child].secret(SYSTEM, account)["token"]
    for cluster in deployment.lab.clusters.values():
        user = yaml.safe_load(cluster.kubeconfig.read_text())["users"][0]["user"]
        found[f"administrator's key of {cluster.name}"] = key_text(user)
    return {name: value.encode() for name, value in found.items()}


def key_text(user: dict[str, str]) -> str:
    """Return a line out of the middle of the client key of a kubeconfig user."""
    pem = (
        base64.b64decode(user["client-key-data"]).decode()
        if "client-key-data" in user
        else Path(user["client-key"]).read_text()
    )
    return pem.splitlines()[2]


def shapes(secret: bytes) -> list[bytes]:
    """Return the ways a secret may appear: plain, encoded as Secrets and kubeconfigs encode it, without its ends."""
    encoded = base64.b64encode(secret)
    return [secret, encoded, secret[4:-4], encoded[4:-8]]


def test_files_with_secrets_are_private(deployment):
    known = secrets(deployment)
    for folder in (deployment.lab.folder / "hosts", deployment.lab.folder / "engine"):
        for path in folder.rglob("*"):
            if not path.is_file() or path.is_symlink() or path.stat().st_mode & 0o077 == 0:
                continue
            content = path.read_bytes()
            open_secrets = [name for name, secret in known.items() if any(s in content for s in shapes(secret)[:2])]
            assert not open_secrets, f"others may read {path}, which holds {open_secrets}"


def planted(what: str) -> str:
    """Return a value that stands nowhere else."""
    return f"planted-{what}-{randomness.token_hex(12)}"


def everything_but_secrets(deployment: Deployment) -> Iterator[tuple[str, str]]:
    """Yield path and JSON of every list of objects that the parent keeps, but of Secrets and their shadows."""
    groups = deployment.parent.get("/apis")["groups"]
    versions = [f"/apis/{group['preferredVersion']['groupVersion']}" for group in groups if group["name"] != "shadow"]
    for version in ("/api/v1", *versions):
        for resource in deployment.parent.get(version)["resources"]:
            if "list" in resource["verbs"] and "/" not in resource["name"] and resource["kind"] != "Secret":
                path = f"{version}/{resource['name']}"
                yield path, json.dumps(deployment.parent.get(path))


def unwrapped(text: str, depth: int = 3) -> Iterator[str]:
    """Yield a text, and what the base64 in it stands for, as often as it is wrapped."""
    yield text
    for part in re.findall(r"[A-Za-z0-9+/]{16,}={0,2}", text) if depth else ():
        try:
            yield from unwrapped(base64.b64decode(part, validate=True).decode(), depth - 1)
        except (binascii.Error, UnicodeDecodeError):
            continue


@pytest.mark.timeout(600)
def test_no_published_secret_outside_of_secrets(deployment: Deployment, tmp_path: Path) -> None:
    """Publish with overrides and Secrets, change, compare, plan, reach a child: its values stand in Secrets alone."""
    data, text, changed, mine, own = (planted(what) for what in ("data", "text", "changed", "override", "child"))
    overrides = {what: planted(what) for what in ("localization", "globalization")}
    cluster = deployment.managed_cluster("child1")["metadata"]
    parent = str(deployment.lab.cluster("parent").kubeconfig)
    head = {"apiVersion": "v1", "kind": "Secret", "type": "Opaque"}
    name = {"name": "planted", "namespace": "default"}

    def secret(value: str) -> dict[str, Any]:
        content = {"data": {"a": base64.b64encode(value.encode()).decode()}, "stringData": {"b": text}}
        return {**head, "metadata": name, **content}

    plain = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": name, "data": {"a": "b"}}
    feeds = [{"api_version": "v1", "kind": kind, **name} for kind in ("Secret", "ConfigMap")]
    everywhere = {"cluster_affinity": {"match_labels": {"clusternet.io/created-by": "clusternet-agent"}}}
    subscription = {**name, "subscribers": [everywhere], "feeds": feeds}

    def override(value: str, feed: int, field: str = "data") -> dict[str, Any]:
        patch = {"name": "o", "type": "MergePatch", "value": {field: {"o": value}}}
        return {"name": "planted", "override_policy": "ApplyNow", "feed": feeds[feed], "overrides": [patch]}

    there = {"namespace": cluster["namespace"]}
    local = {**override(overrides["localization"], 1), **there}
    hidden = {**override(base64.b64encode(mine.encode()).decode(), 0), **there, "name": "planted-secret"}
    world = override(overrides["globalization"], 1)
    wanted = {"subscriptions": [subscription], "wait_for": "deployed", "wait_timeout": 120}
    on_child = {**head, "metadata": {**name, "name": "planted-there"}, "stringData": {"c": own}}

    def play(*tasks: dict[str, Any], check: bool = False) -> str:
        folder = tmp_path / randomness.token_hex(4)
        folder.mkdir()
        run = run_tasks(tasks, parent, folder, ("-vvv", "--diff", *(["--check"] if check else ())))
        assert not any(result["failed"] for result in run.results), run.output[-4000:]
        return run.output

    outputs = [
        play({"clusternet.core.manifest": {"definitions": [secret(data), plain]}}),
        play({"clusternet.core.localization": {"localizations": [local]}}),
        play({"clusternet.core.globalization": {"globalizations": [world]}}),
        play({"clusternet.core.subscription": wanted}),
        play({"clusternet.core.manifest": {"definitions": [secret(changed)]}}, check=True),
        play({"clusternet.core.render": {"definitions": [secret(changed)], "localizations": [hidden]}}),
        play({"clusternet.core.manifest": {"definitions": [secret(changed)]}}),
        play({"clusternet.core.subscription": wanted}),
        play({"clusternet.core.description_info": {}}),
        play({"clusternet.core.child_object": {"names": [cluster["name"]], "definitions": [on_child]}}),
        play({"clusternet.core.child_object": {"names": [cluster["name"]], "definitions": [on_child]}}, check=True),
    ]
    live = deployment.children["child1"].secret("default", "planted")
    assert live["a"] == changed
    assert live["b"] == text

    known = {value.encode() for value in (data, text, changed, mine, own, *overrides.values())}
    for number, output in enumerate(outputs):
        leaks = [value for value in known if any(shape in output.encode() for shape in shapes(value)[:2])]
        assert not leaks, f"{leaks} in output {number}"
    logs = [path for path in (deployment.lab.folder / "hosts").rglob("*") if path.is_file() and "log" in path.name]
    for path in (*logs, *deployment.lab.folder.glob("*/*.log")):
        assert not [value for value in known if value in path.read_bytes()], path

    # Overrides are custom resources that say what they do; Secrets that they change, and everything published, aren't.
    for path, listed in everything_but_secrets(deployment):
        for layer in unwrapped(listed):
            assert not [value for value in (data, text, changed, own) if value in layer], path

    play({"clusternet.core.subscription": {"subscriptions": [name], "state": "absent"}})
    play({"clusternet.core.localization": {"localizations": [{**name, **there}], "state": "absent"}})
    play({"clusternet.core.globalization": {"globalizations": [{"name": "planted"}], "state": "absent"}})
    play({"clusternet.core.manifest": {"definitions": [secret(data), plain], "state": "absent"}})


@pytest.mark.timeout(600)
def test_no_secret_in_any_output(deployment, tmp_path):
    """The transcript of the first deployment is judged with the others; this tears it down."""
    known = secrets(deployment)
    parent = deployment.lab.cluster("parent").kubeconfig
    token_id = deployment.bootstrap_token().partition(".")[0]

    deployment.playbook("clusternet.core.deploy", "--check")
    deployment.playbook("clusternet.core.status")
    modules = {
        "managed_cluster_info": "",
        "registration_info": "",
        "bootstrap_token": f"token_id={token_id} state=absent",
    }
    for module, options in modules.items():
        deployment.run(
            "ansible",
            "localhost",
            "--check",
            "--diff",
            "-m",
            f"clusternet.core.{module}",
            "-a",
            f"kubeconfig={parent} {options}",
        )
    source = tmp_path / "clusternet.yml"
    source.write_text(yaml.safe_dump({"plugin": "clusternet.core.managed_clusters", "kubeconfig": str(parent)}))
    deployment.run("ansible-inventory", "-i", source, "--list")

    logs = [path for path in (deployment.lab.folder / "hosts").rglob("*") if path.is_file() and "log" in path.name]
    assert logs, "hub and agents have no log files"
    logs += deployment.folder.glob("*.log")
    written = {str(path): path.read_bytes() for path in logs}

    deployment.teardown()
    places = {
        **written,
        **{str(path): path.read_bytes() for path in deployment.transcripts},
        "process list": b"\n".join(deployment.command_lines),
    }
    assert b"clusternet-agent" in places["process list"]
    leaks = [
        f"{name} in {place}"
        for place, content in places.items()
        for name, secret in known.items()
        if any(shape in content for shape in shapes(secret))
    ]
    assert leaks == []
