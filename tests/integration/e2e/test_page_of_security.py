"""The commands that docs/security.md puts beside its sentences do and show what is said there."""

import re
import shlex
import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from api import Api
from clusternet_lab import programs
from deployment import CLUSTERS, Deployment

pytestmark = pytest.mark.usefixtures("nothing_is_forbidden")

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs" / "security.md").read_text()
COMMANDS = sorted({" ".join(one.split()) for one in re.findall(r"`((?:kubectl|ansible|sha256sum|grep)\s[^`]+)`", TEXT)})
HUB = "system:serviceaccount:clusternet-system:clusternet-hub"


def command(beginning: str) -> str:
    """Return the page's command that begins with this; each command is taken by one test."""
    [found] = [one for one in COMMANDS if one.startswith(beginning)]
    return found


SHOWN = {
    command("kubectl auth can-i --list"): ["secrets", "sockets.proxies.clusternet.io", "serviceaccounts/token"],
    command("kubectl get validatingadmissionpolicies"): ["clusternet-hub", "clusternet-child"],
    command("kubectl get clusterrolebindings"): ["clusternet:hub", "clusternet-system/clusternet-hub"],
    command("sha256sum"): ["roles/engine/files/clusternet_engine-"],
}
MAY_PUBLISH = command("kubectl auth can-i create")
AUDIT = command("grep -c")
UNREGISTER = command("ansible localhost -m clusternet.core.managed_cluster")
END_TOKEN = command("ansible localhost -m clusternet.core.bootstrap_token")


@pytest.fixture
def run(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """``run(command, code=0)`` runs a command as the parent's administrator, and returns what it prints."""
    kubeconfig = str(deployment.lab.cluster("parent").kubeconfig)
    monkeypatch.setenv("KUBECONFIG", kubeconfig)
    monkeypatch.setenv("K8S_AUTH_KUBECONFIG", kubeconfig)

    def run(line: str, code: int = 0) -> str:
        first, *arguments = shlex.split(line)
        if first == "ansible":
            return deployment.run(first, *arguments)
        paths = [str(path.relative_to(ROOT)) for word in arguments if "*" in word for path in ROOT.glob(word)]
        words = [first, *(word for word in arguments if "*" not in word), *paths]
        executable = programs.paths()["kubectl"] if first == "kubectl" else None
        done = subprocess.run(
            words, executable=executable, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    return run


def test_every_command_is_run() -> None:
    assert set(COMMANDS) == {*SHOWN, MAY_PUBLISH, AUDIT, UNREGISTER, END_TOKEN}


@pytest.mark.parametrize("line", SHOWN, ids=lambda line: " ".join(line.split()[:3]))
def test_a_command_shows_what_is_said(run: Callable[..., str], line: str) -> None:
    shown = run(line)
    assert [part for part in SHOWN[line] if part not in shown] == []


def test_who_may_publish(run: Callable[..., str]) -> None:
    assert run(MAY_PUBLISH.replace("<user>", HUB)).strip() == "yes"
    assert run(MAY_PUBLISH.replace("<user>", "nobody"), code=1).strip() == "no"


def test_the_audit_log_of_the_lab_is_clean(deployment: Deployment, run: Callable[..., str]) -> None:
    log = deployment.lab.cluster("parent").audit_log
    assert log.stat().st_size
    assert run(AUDIT.replace("/var/log/kubernetes/audit.log", str(log)), code=1).strip() == "0"


def test_a_bootstrap_token_is_ended(deployment: Deployment, run: Callable[..., str]) -> None:
    secret = "/api/v1/namespaces/kube-system/secrets/bootstrap-token-page01"
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "bootstrap.kubernetes.io/token",
        "metadata": {"name": "bootstrap-token-page01"},
        "stringData": {
            "token-id": "page01",
            "token-secret": uuid.uuid4().hex[:16],
            "usage-bootstrap-authentication": "true",
            "auth-extra-groups": "system:bootstrappers:clusternet:register-cluster-token",
        },
    }
    assert deployment.parent("POST", secret.rpartition("/")[0], body).status == 201
    run(END_TOKEN.replace("<id>", "page01"))
    assert deployment.parent("GET", secret).status == 404


def test_a_cluster_is_thrown_out(deployment: Deployment, run: Callable[..., str], wait_for: Callable[..., Any]) -> None:
    """One without an agent, as a hostile one would be that doesn't do what it should."""
    lab, identity = deployment.lab.cluster("parent"), str(uuid.uuid4())
    path = f"{CLUSTERS}/clusterregistrationrequests/clusternet-{identity}"
    body = {
        "apiVersion": "clusters.clusternet.io/v1beta1",
        "kind": "ClusterRegistrationRequest",
        "metadata": {"name": f"clusternet-{identity}"},
        "spec": {"clusterId": identity, "clusterName": "thrown-out", "syncMode": "Pull"},
    }
    registrant = Api.with_token(lab.server, lab.ca, deployment.bootstrap_token())
    assert registrant("POST", path.rpartition("/")[0], body).status == 201
    status = wait_for(
        lambda: (s := deployment.parent("GET", path).body.get("status", {})).get("token") and s,
        timeout=60,
        why="the request is not approved",
    )
    run(UNREGISTER.replace("<cluster>", status["managedClusterName"]))
    assert deployment.parent("GET", path).status == 404
    namespace = f"/api/v1/namespaces/{status['dedicatedNamespace']}"

    def gone() -> bool:
        answer = deployment.parent("GET", namespace)
        assert answer.status == 404, answer.body
        return True

    wait_for(gone, timeout=240, why="the namespace stays")
