"""Our CRDs on the API server of a lab."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from api import Api

CRDS = Path(__file__).parents[3] / "roles" / "hub" / "files" / "crds"
RESOURCE = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@pytest.fixture(scope="session")
def api(parent_kubeconfig: Path) -> Api:
    return Api.from_kubeconfig(parent_kubeconfig)


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
