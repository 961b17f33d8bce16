"""API servers that come back after a test has killed them."""

from clusternet_lab import Lab


def revive_api_server(lab: Lab, cluster: str) -> None:
    """Bring an API server back, and with it the controller manager that issues tokens and removes namespaces.

    After some losses its watches back off for half a minute, which is Kubernetes' patience, not what is tested here.
    """
    lab.restart(cluster, "kube-apiserver")
    lab.restart(cluster, "kube-controller-manager")
