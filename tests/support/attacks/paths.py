"""Paths of the parent's API."""

CLUSTERS = "/apis/clusters.clusternet.io/v1beta1"
APPS = "/apis/apps.clusternet.io/v1alpha1"
SHADOW = "/apis/shadow/v1alpha1"
SOCKETS = "/apis/proxies.clusternet.io/v1alpha1/sockets"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
CORE = "/api/v1"
REQUESTS = f"{CLUSTERS}/clusterregistrationrequests"
RESERVED = "clusternet-reserved"


def within(group: str, namespace: str, plural: str, name: str = "") -> str:
    """Return the path of a namespaced object, or of the list of its kind."""
    return f"{group}/namespaces/{namespace}/{plural}" + (f"/{name}" if name else "")
