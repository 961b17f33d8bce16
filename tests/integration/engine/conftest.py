"""Hub and agent as processes, for the tests of the engine against the lab."""

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import yaml
from agent_site import AgentSite
from api import Api
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.config import ClusterConfig
from clusternet_lab import Lab

CRDS = Path(__file__).parents[3] / "roles" / "hub" / "files" / "crds"
RBAC = "rbac.authorization.k8s.io"
BOOTSTRAPPING = "clusternet:system:bootstrapping"
REGISTRATION_GROUP = "system:bootstrappers:clusternet:register-cluster-token"


def apply(api: Api, path: str, document: dict) -> None:
    query = {"fieldManager": "engine-test", "force": "true"}
    name = document["metadata"]["name"]
    answer = api("PATCH", f"{path}/{name}", document, content_type="application/apply-patch+yaml", **query)
    assert answer.status in (200, 201), answer


@pytest.fixture(scope="session")
def parent_prepared(lab: Lab, wait_for) -> Api:
    """A parent with the CRDs, the system namespace and the rights of registration tokens, as role `hub` makes them."""
    api = Api.from_kubeconfig(lab.cluster("parent").kubeconfig)
    crds = [yaml.safe_load(path.read_text()) for path in sorted(CRDS.glob("*.yaml"))]
    for crd in crds:
        apply(api, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", crd)
    apply(
        api,
        "/api/v1/namespaces",
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "clusternet-system"}},
    )
    metadata = {"name": BOOTSTRAPPING}
    rule = {
        "apiGroups": ["clusters.clusternet.io"],
        "resources": ["clusterregistrationrequests"],
        "verbs": ["get", "create"],
    }
    role = {"apiVersion": f"{RBAC}/v1", "kind": "ClusterRole", "metadata": metadata, "rules": [rule]}
    binding = {
        "apiVersion": f"{RBAC}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": metadata,
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": BOOTSTRAPPING},
        "subjects": [{"apiGroup": RBAC, "kind": "Group", "name": REGISTRATION_GROUP}],
    }
    apply(api, f"/apis/{RBAC}/v1/clusterroles", role)
    apply(api, f"/apis/{RBAC}/v1/clusterrolebindings", binding)
    for crd in crds:
        spec = crd["spec"]
        path = f"/apis/{spec['group']}/{spec['versions'][0]['name']}/{spec['names']['plural']}"
        wait_for(lambda path=path: api("GET", path).status == 200, why=f"{path} is not served")
    return api


@pytest.fixture(scope="session")
def hub(lab: Lab, parent_prepared: Api, tmp_path_factory: pytest.TempPathFactory) -> Iterator[subprocess.Popen]:
    """A running `clusternet-hub` on the parent."""
    log = tmp_path_factory.mktemp("hub") / "hub.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                Path(sys.executable).with_name("clusternet-hub"),
                f"--kubeconfig={lab.cluster('parent').kubeconfig}",
                "--secure-port=0",
            ],
            stdout=output,
            stderr=output,
        )
    yield process
    process.terminate()
    try:
        assert process.wait(timeout=10) == 0, log.read_text()
    finally:
        process.kill()


@pytest.fixture
async def site(lab: Lab, tmp_path: Path) -> AsyncIterator[AgentSite]:
    """A place for an agent on a child cluster, cleaned up at the end."""
    async with (
        Client(ClusterConfig.from_kubeconfig(lab.cluster(AgentSite.cluster).kubeconfig)) as child,
        Client(ClusterConfig.from_kubeconfig(lab.cluster("parent").kubeconfig)) as parent,
    ):
        site = AgentSite(lab, child, parent, tmp_path)
        yield site
        await site.clean_up()
