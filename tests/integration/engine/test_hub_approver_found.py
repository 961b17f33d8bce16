"""What the hub makes of registration requests for which it finds something when it starts (spec/02 §6)."""

from clusternet_engine.kube.resources import MANAGED_CLUSTERS, SECRETS, SERVICE_ACCOUNTS

NAME_LABEL = "clusters.clusternet.io/cluster-name"


async def test_a_namespace_labelled_beforehand_is_used(hubs, applicant):
    child = applicant()
    await child.make_namespace(f"early-{child.id[:8]}", child.labels)
    hubs.start()
    await child.ask()
    assert (await child.approved())["dedicatedNamespace"] == f"early-{child.id[:8]}"


async def test_a_name_that_is_taken_in_the_namespace(hubs, applicant, parent):
    child = applicant()
    namespace, name = f"taken-{child.id[:8]}", child.spec["clusterName"]
    await child.make_namespace(namespace, child.labels)
    other = "11111111-0000-4000-8000-000000000000"
    body = {
        "apiVersion": MANAGED_CLUSTERS.api_version,
        "kind": MANAGED_CLUSTERS.kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"clusterId": other, "syncMode": "Pull"},
    }
    await parent.create(MANAGED_CLUSTERS, body)
    hubs.start()
    await child.ask()
    assert other in await child.obstructed("ClusterNameTaken")
    await parent.delete(MANAGED_CLUSTERS, name, namespace)
    await child.approved()


async def test_an_account_without_its_secret_is_completed(hubs, applicant, parent):
    """A hub that died between ServiceAccount and Secret leaves this behind."""
    child = applicant()
    namespace = f"half-{child.id[:8]}"
    labels = {**child.labels, NAME_LABEL: child.spec["clusterName"]}
    await child.make_namespace(namespace, labels)
    await parent.create(
        SERVICE_ACCOUNTS, {"metadata": {"name": "clusternet-upstr", "namespace": namespace, "labels": labels}}
    )
    hubs.start("--child-token-lifetime=0")
    await child.ask()
    await child.approved()
    assert (await child.only(SERVICE_ACCOUNTS))["metadata"]["name"] == "clusternet-upstr"


async def test_a_secret_that_stands_in_the_way(hubs, applicant, parent):
    child = applicant()
    namespace = f"way-{child.id[:8]}"
    await child.make_namespace(namespace, child.labels)
    account = {"metadata": {"name": "clusternet-upstr", "namespace": namespace, "labels": child.labels}}
    await parent.create(SERVICE_ACCOUNTS, account)
    await parent.create(SECRETS, {"metadata": {"name": "clusternet-upstr", "namespace": namespace}})
    hubs.start("--child-token-lifetime=0")
    await child.ask()
    await child.obstructed("TokenSecretExists")
    await parent.delete(SECRETS, "clusternet-upstr", namespace)
    await child.approved()
