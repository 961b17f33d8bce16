"""No secret shows in any output: of playbooks and modules at -vvv with diffs, of process lists, of log files."""

import base64
from pathlib import Path

import pytest
import yaml
from deployment import SYSTEM, Deployment

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
