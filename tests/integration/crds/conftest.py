"""Our CRDs on the API server of a lab."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes.config import new_client_from_config

CRDS = Path(__file__).parents[3] / "roles" / "hub" / "files" / "crds"
RESOURCE = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


class Api:
    """Raw requests to one API server with the credentials of a kubeconfig."""

    def __init__(self, kubeconfig: Path) -> None:
        self._client = new_client_from_config(str(kubeconfig))

    def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content_type: str = "application/json",
        accept: str = "application/json",
        **query: str,
    ) -> tuple[int, dict[str, Any], str]:
        """Send one request; return the status, the parsed answer and the warnings."""
        answer = self._client.rest_client.pool_manager.request_encode_url(
            method,
            self._client.configuration.host + path,
            fields=query,
            headers={"Content-Type": content_type, "Accept": accept},
            body=None if body is None else json.dumps(body),
            timeout=30,
        )
        return answer.status, json.loads(answer.data), answer.headers.get("Warning", "")


@pytest.fixture(scope="session")
def api(parent_kubeconfig: Path) -> Api:
    return Api(parent_kubeconfig)


@pytest.fixture(scope="session")
def applied(api: Api, wait_for) -> dict[str, dict[str, Any]]:
    """By plural, every CRD as the API server shows it once its kind is served, and the warnings it was applied with."""
    found = {}
    for path in sorted(CRDS.glob("*.yaml")):
        document = yaml.safe_load(path.read_text())
        name = document["metadata"]["name"]
        status, answer, warnings = api(
            "PATCH",
            f"{RESOURCE}/{name}",
            document,
            content_type="application/apply-patch+yaml",
            fieldManager="crd-test",
            force="true",
        )
        assert status in (200, 201), answer
        found[document["spec"]["names"]["plural"]] = {
            "name": name,
            "file": path.name,
            "source": document,
            "warnings": warnings,
        }
    for crd in found.values():
        wait_for(lambda crd=crd: _served(api, crd), why=f"{crd['name']} is not served")
    return found


def _served(api: Api, crd: dict[str, Any]) -> bool:
    _, crd["object"], _ = api("GET", f"{RESOURCE}/{crd['name']}")
    crd["conditions"] = {c["type"]: c["status"] for c in crd["object"].get("status", {}).get("conditions", [])}
    spec = crd["object"]["spec"]
    path = f"/apis/{spec['group']}/{spec['versions'][0]['name']}/{spec['names']['plural']}"
    return crd["conditions"].get("Established") == "True" and api("GET", path)[0] == 200
