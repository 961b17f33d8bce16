"""A lab as an Ansible inventory, for the roles ``hub`` and ``agent`` of clusternet.core."""

from typing import Any

from clusternet_lab.lab import Lab
from clusternet_lab.programs import HELM

_REGIONS = ("north", "south", "east", "west")
_ENVIRONMENTS = ("production", "staging")
_SYNC_MODES = ("Dual", "Pull")


def inventory(lab: Lab) -> dict[str, Any]:
    """Return the inventory: the groups ``clusternet_parent`` and ``clusternet_children``, all hosts on this machine."""

    def host(name: str, role: str) -> dict[str, Any]:
        cluster = lab.cluster(name)
        return {
            f"clusternet_{role}_kubeconfig": str(cluster.kubeconfig),
            f"clusternet_{role}_secure_port": cluster.engine_port,
            f"clusternet_{role}_home": str(lab.folder / "hosts" / name),
            f"clusternet_{role}_supervisor": "process",
            f"clusternet_{role}_repository_addresses": ["127.0.0.1"],
            f"clusternet_{role}_helm_binary": str(HELM.path) if HELM.path.exists() else "helm",
        }

    children = [name for name in lab.clusters if name != "parent"]
    return {
        "all": {
            "vars": {
                "ansible_connection": "local",
                "ansible_pipelining": True,
                "ansible_python_interpreter": "{{ ansible_playbook_python }}",
                "clusternet_engine_home": str(lab.folder / "engine"),
            },
            "children": {
                "clusternet_parent": {
                    "hosts": {"parent": host("parent", "hub")},
                    "vars": {
                        "clusternet_hub_bind_address": "127.0.0.1",
                        "clusternet_hub_advertise_address": "localhost",
                        "clusternet_hub_peer_port": 0,
                        "clusternet_hub_push_addresses": ["127.0.0.1"],
                    },
                },
                "clusternet_children": {
                    "hosts": {
                        name: {
                            **host(name, "agent"),
                            "clusternet_agent_sync_mode": _SYNC_MODES[number % len(_SYNC_MODES)],
                            "clusternet_agent_cluster_labels": {
                                "env": _ENVIRONMENTS[number % len(_ENVIRONMENTS)],
                                "region": _REGIONS[number % len(_REGIONS)],
                            },
                        }
                        for number, name in enumerate(children)
                    },
                    "vars": {
                        "clusternet_agent_status_update_frequency": "5s",
                        "clusternet_agent_predictor_port": 0,
                    },
                },
            },
        }
    }
