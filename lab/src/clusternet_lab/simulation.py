"""Simulated nodes: the Node objects, and the KWOK stages that bring them and their pods to life."""

import http.client
from importlib.resources import files
from typing import Any

from clusternet_lab.api import ApiServer


def stages() -> str:
    """Return the KWOK configuration."""
    return files("clusternet_lab").joinpath("stages.yaml").read_text()


def node(number: int) -> dict[str, Any]:
    """Return the Node object of the simulated node ``number``."""
    name = f"node-{number}"
    labels = {"kubernetes.io/arch": "amd64", "kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}}


def create_nodes(api: ApiServer, count: int) -> bool:
    """Create the simulated nodes 1 … ``count`` that don't exist yet, and tell whether all exist now."""
    accepted = (http.client.CREATED, http.client.CONFLICT)
    try:
        return all(api.request("POST", "/api/v1/nodes", node(number))[0] in accepted for number in range(1, count + 1))
    except (OSError, http.client.HTTPException):
        return False


def ready_nodes(api: ApiServer) -> int:
    """Return how many nodes are Ready."""
    nodes = (api.get("/api/v1/nodes") or {}).get("items", [])
    conditions = (condition for node in nodes for condition in node["status"].get("conditions", []))
    return sum(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)
