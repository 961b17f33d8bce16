"""What the hub makes of registration requests: objects, permissions, obstacles, and what it repairs (spec/02 §6)."""

import asyncio
import re

import pytest
from clusternet_engine.kube.errors import AlreadyExists, Forbidden, NotFound
from clusternet_engine.kube.resources import (
    CLUSTER_REGISTRATION_REQUESTS,
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    CONFIG_MAPS,
    MANAGED_CLUSTERS,
    NAMESPACES,
    ROLE_BINDINGS,
    ROLES,
    SECRETS,
    SERVICE_ACCOUNTS,
)
from clusternet_engine.model.tokens import read_token
from hub_site import ID_LABEL, SYSTEM, acts_as_child, eventually, is_renewed

pytestmark = pytest.mark.usefixtures("hub")

CREATED_BY = "clusternet.io/created-by"
NAME_LABEL = "clusters.clusternet.io/cluster-name"
ROLE = "clusternet-managedcluster-role"
GENERATED = re.compile(r"clusternet-[bcdfghjklmnpqrstvwxz2456789]{5}")


def without_token(status):
    """Return what of a status is the same for every credential."""
    assert status["token"]
    return {field: value for field, value in status.items() if field != "token"}


async def patch_namespace(parent, name, labels):
    await parent.patch(NAMESPACES, name, {"metadata": {"labels": labels}})


async def gone(parent, resource, name, namespace=None):
    async def is_gone():
        try:
            await parent.get(resource, name, namespace)
        except NotFound:
            return True
        return False

    await eventually(is_gone, why=f"{name} is gone")


async def test_an_approved_cluster_has_what_clusternet_makes(applicant, parent):
    child = applicant(clusterLabels={"env": "prod", ID_LABEL: "stolen", CREATED_BY: "me"})
    await child.ask()
    status = await child.approved()
    assert set(status) == {"result", "token", "caCertificate", "dedicatedNamespace", "managedClusterName"}
    namespace, name = status["dedicatedNamespace"], child.spec["clusterName"]
    labels = {**child.labels, NAME_LABEL: name}
    assert GENERATED.fullmatch(namespace)
    assert status["managedClusterName"] == name
    assert labels.items() <= (await child.only(NAMESPACES))["metadata"]["labels"].items()
    cluster = await child.only(MANAGED_CLUSTERS)
    assert cluster["metadata"]["labels"] == labels | {"env": "prod"}
    assert cluster["metadata"]["namespace"] == namespace
    assert cluster["spec"] == {"clusterId": child.id, "clusterType": "StandardCluster", "syncMode": "Dual"}
    account = await child.only(SERVICE_ACCOUNTS)
    assert account["metadata"]["labels"] == labels
    assert GENERATED.fullmatch(account["metadata"]["name"])
    token = read_token(await child.token())
    assert (token.namespace, token.account, token.account_uid) == (
        namespace,
        account["metadata"]["name"],
        account["metadata"]["uid"],
    )
    assert token.life == 720 * 3600
    subject = {"kind": "ServiceAccount", "name": account["metadata"]["name"], "namespace": namespace}
    for binding, role, kind in (
        (await child.only(CLUSTER_ROLE_BINDINGS), await child.only(CLUSTER_ROLES), "ClusterRole"),
        (await parent.get(ROLE_BINDINGS, ROLE, namespace), await parent.get(ROLES, ROLE, namespace), "Role"),
    ):
        assert binding["subjects"] == [subject]
        assert binding["roleRef"] == {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": kind,
            "name": role["metadata"]["name"],
        }
        for obj in (binding, role):
            assert obj["metadata"]["annotations"] == {"clusternet.io/autoupdate": "true"}
            assert obj["metadata"]["labels"][CREATED_BY] == "clusternet-controller-manager"
            assert obj["metadata"]["labels"]["clusters.clusternet.io/bootstrapping"] == "rbac-defaults"

    async def told() -> bool:
        return "Approved" in await child.events()

    await eventually(told)


async def test_the_credential_may_do_what_it_should_and_nothing_else(applicant, lab):
    child, other = applicant(), applicant()
    await child.ask()
    await other.ask()
    status, others = await child.approved(), await other.approved()
    namespace = status["dedicatedNamespace"]
    async with acts_as_child(lab, status) as acting:

        async def may() -> bool:
            try:
                await acting.get(CLUSTER_REGISTRATION_REQUESTS, child.request_name)
                await acting.list(MANAGED_CLUSTERS, namespace)
            except Forbidden:
                return False
            return True

        await eventually(may)
        account = (await child.only(SERVICE_ACCOUNTS))["metadata"]["name"]

        def renewal(hours):
            return {"metadata": {"name": account}, "spec": {"expirationSeconds": hours * 3600}}

        await acting.create(SERVICE_ACCOUNTS, renewal(720), namespace, subresource="token")
        for attempt in (
            acting.create(SERVICE_ACCOUNTS, renewal(721), namespace, subresource="token"),
            acting.create(CONFIG_MAPS, {"metadata": {"name": "mine", "namespace": namespace}, "data": {}}),
            acting.list(SECRETS, namespace),
            acting.list(ROLES, namespace),
            acting.get(NAMESPACES, namespace),
            acting.get(CLUSTER_REGISTRATION_REQUESTS, other.request_name),
            acting.list(CLUSTER_REGISTRATION_REQUESTS),
            acting.list(MANAGED_CLUSTERS, others["dedicatedNamespace"]),
            acting.get(SECRETS, "clusternet-hub", SYSTEM),
            acting.list(MANAGED_CLUSTERS),
            acting.get(NAMESPACES, others["dedicatedNamespace"]),
            acting.update(
                CLUSTER_REGISTRATION_REQUESTS, {"metadata": {"name": child.request_name}}, subresource="status"
            ),
        ):
            with pytest.raises(Forbidden):
                await attempt


async def test_a_wanted_namespace_is_used(applicant):
    child = applicant()
    wanted = f"wanted-{child.id[:8]}"
    await child.ask(clusterNamespace=wanted)
    assert (await child.approved())["dedicatedNamespace"] == wanted


async def test_a_request_with_another_id_is_denied(applicant, parent):
    child = applicant()
    await child.ask(clusterId="00000000-0000-4000-8000-000000000000")
    await child.obstructed("ClusterIDMismatch")
    status = await child.status()
    assert set(status) == {"result", "errorMessage"}
    assert status["result"] == "Denied"
    await parent.patch(CLUSTER_REGISTRATION_REQUESTS, child.request_name, {"spec": {"clusterId": child.id}})
    await child.approved()


@pytest.mark.parametrize("result", ["Denied", "Failed"])
async def test_what_an_administrator_has_decided_stays(applicant, parent, result):
    child, witness = applicant(), applicant()
    await child.ask()
    await child.approved()
    decided = {"result": result, "errorMessage": "not one of ours"}
    await parent.update(
        CLUSTER_REGISTRATION_REQUESTS, {**await child.request(), "status": decided}, subresource="status"
    )
    await witness.ask()
    await witness.approved()
    await parent.delete(CLUSTER_ROLES, child.request_name)
    await parent.delete(CLUSTER_ROLES, witness.request_name)
    await eventually(lambda: witness.all_of(CLUSTER_ROLES), why="the hub has seen that both roles are gone")
    assert await child.status() == decided
    assert await child.all_of(CLUSTER_ROLES) == []


async def test_a_foreign_namespace_is_refused_until_it_is_labelled(applicant, parent):
    child = applicant()
    name = f"foreign-{child.id[:8]}"
    await child.make_namespace(name)
    await child.ask(clusterNamespace=name)
    message = await child.obstructed("NamespaceExists")
    assert name in message
    assert "result" not in await child.status()
    await patch_namespace(parent, name, child.labels)
    assert (await child.approved())["dedicatedNamespace"] == name


async def test_a_foreign_namespace_is_refused_until_it_is_gone(applicant, parent):
    child = applicant()
    name = f"foreign-{child.id[:8]}"
    await child.make_namespace(name)
    await child.ask(clusterNamespace=name)
    await child.obstructed("NamespaceExists")
    await parent.delete(NAMESPACES, name)
    assert (await child.approved())["dedicatedNamespace"] == name


async def test_two_clusters_that_want_the_same_namespace(applicant, parent):
    first, second = applicant(), applicant()
    name = f"shared-{first.id[:8]}"
    await first.ask(clusterNamespace=name)
    await first.approved()
    await second.ask(clusterNamespace=name)
    assert first.id in await second.obstructed("NamespaceTaken")
    patch = {"spec": {"clusterNamespace": f"own-{second.id[:8]}"}}
    await parent.patch(CLUSTER_REGISTRATION_REQUESTS, second.request_name, patch)
    assert (await second.approved())["dedicatedNamespace"] == f"own-{second.id[:8]}"


async def test_two_clusters_with_the_same_name_in_different_namespaces(applicant):
    first, second = applicant(clusterName="twin"), applicant(clusterName="twin")
    await first.ask()
    await second.ask()
    statuses = [await first.approved(), await second.approved()]
    assert {status["managedClusterName"] for status in statuses} == {"twin"}
    assert len({status["dedicatedNamespace"] for status in statuses}) == 2


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"clusterName": "UPPER-a"}, "InvalidRequest"),
        ({"clusterNamespace": "UPPER-a"}, "InvalidRequest"),
        ({"clusterLabels": {"a b": "c"}}, "InvalidRequest"),
        ({"clusterNamespace": SYSTEM}, "NamespaceReserved"),
        ({"clusterNamespace": "clusternet-reserved"}, "NamespaceReserved"),
        ({"clusterNamespace": "kube-system"}, "NamespaceExists"),
    ],
)
async def test_values_that_cannot_work(applicant, parent, spec, reason):
    child = applicant()
    await child.ask(**spec)
    await child.obstructed(reason)
    good = {"clusterName": "fine", "clusterNamespace": None, "clusterLabels": None}
    await parent.patch(CLUSTER_REGISTRATION_REQUESTS, child.request_name, {"spec": good})
    await child.approved()


async def test_what_is_deleted_comes_back(applicant, parent):
    child = applicant()
    await child.ask()
    status = await child.approved()
    namespace, name = status["dedicatedNamespace"], status["managedClusterName"]
    for resource, obj, where in (
        (MANAGED_CLUSTERS, name, namespace),
        (ROLES, ROLE, namespace),
        (ROLE_BINDINGS, ROLE, namespace),
        (CLUSTER_ROLES, child.request_name, None),
        (CLUSTER_ROLE_BINDINGS, child.request_name, None),
    ):
        before = (await parent.get(resource, obj, where))["metadata"]["uid"]
        await parent.delete(resource, obj, where)

        async def back(resource=resource, obj=obj, where=where, before=before):
            return (await parent.get(resource, obj, where))["metadata"]["uid"] != before

        await eventually(back, why=f"{resource.kind} is back")
    assert await child.status() == status


async def test_a_deleted_credential_is_renewed(applicant, parent, lab):
    child = applicant()
    await child.ask()
    before = await child.approved()
    account = await child.only(SERVICE_ACCOUNTS)
    await parent.delete(SERVICE_ACCOUNTS, account["metadata"]["name"], before["dedicatedNamespace"])

    await is_renewed(child, lab, before)


async def test_a_deleted_namespace_comes_back_under_its_name(applicant, parent):
    child = applicant()
    await child.ask()
    before = await child.approved()
    await parent.delete(NAMESPACES, before["dedicatedNamespace"])

    async def renewed():
        status = await child.status()
        return status["token"] != before["token"] and "errorMessage" not in status

    await eventually(renewed, 60)
    after = await child.approved()
    assert after["dedicatedNamespace"] == before["dedicatedNamespace"]
    await child.only(MANAGED_CLUSTERS)
    await child.only(SERVICE_ACCOUNTS)


async def test_lost_labels_are_restored(applicant, parent):
    child = applicant()
    await child.ask()
    status = await child.approved()
    namespace = status["dedicatedNamespace"]
    await patch_namespace(parent, namespace, {CREATED_BY: None, ID_LABEL: None})
    await eventually(lambda: child.all_of(NAMESPACES), 10, "the namespace is labelled")
    await parent.patch(
        MANAGED_CLUSTERS, status["managedClusterName"], {"metadata": {"labels": {ID_LABEL: None}}}, namespace
    )
    await eventually(lambda: child.all_of(MANAGED_CLUSTERS), 10, "the ManagedCluster is labelled")
    assert await child.status() == status


async def test_labels_give_no_cluster_the_namespace_of_another(applicant, parent):
    """A child could label its own Namespace once; what the hub has recorded counts more."""
    first, second = applicant(), applicant()
    await first.ask()
    namespace = (await first.approved())["dedicatedNamespace"]
    await patch_namespace(parent, namespace, {ID_LABEL: second.id})
    await second.ask()
    assert (await second.approved())["dedicatedNamespace"] != namespace
    await eventually(lambda: first.all_of(NAMESPACES), why="the namespace is labelled for its own cluster again")
    third = applicant()
    await third.ask(clusterNamespace=namespace)
    assert namespace in await third.obstructed("NamespaceTaken")


async def test_changed_permissions_are_put_right_unless_autoupdate_is_off(applicant, parent):
    child = applicant()
    await child.ask()
    await child.approved()
    right = (await child.only(CLUSTER_ROLES))["rules"]
    await parent.patch(CLUSTER_ROLES, child.request_name, {"rules": []})

    async def put_right():
        return (await parent.get(CLUSTER_ROLES, child.request_name))["rules"] == right

    await eventually(put_right)
    off = {"metadata": {"annotations": {"clusternet.io/autoupdate": "false"}}, "rules": []}
    await parent.patch(CLUSTER_ROLES, child.request_name, off)
    await parent.delete(MANAGED_CLUSTERS, child.spec["clusterName"], (await child.status())["dedicatedNamespace"])
    await eventually(lambda: child.all_of(MANAGED_CLUSTERS), 10, "the hub has looked at the cluster")
    assert not (await parent.get(CLUSTER_ROLES, child.request_name))["rules"]


async def test_a_role_with_all_rights_is_narrowed(applicant, parent):
    """Hubs of former versions, and Clusternet's own, give a child all rights in its namespace."""
    child = applicant()
    await child.ask()
    namespace = (await child.approved())["dedicatedNamespace"]
    narrow = (await parent.get(ROLES, ROLE, namespace))["rules"]
    assert not any("*" in (*rule["apiGroups"], *rule["resources"], *rule["verbs"]) for rule in narrow)
    everything = {"rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]}
    await parent.patch(ROLES, ROLE, everything, namespace)

    async def narrowed():
        return (await parent.get(ROLES, ROLE, namespace))["rules"] == narrow

    await eventually(narrowed)


async def test_a_binding_to_another_role_is_replaced(applicant, parent):
    child = applicant()
    await child.ask()
    await child.approved()
    binding = await child.only(CLUSTER_ROLE_BINDINGS)
    right = binding["roleRef"]
    await parent.delete(CLUSTER_ROLE_BINDINGS, child.request_name)
    labels, annotations = binding["metadata"]["labels"], binding["metadata"]["annotations"]
    wrong = {
        "metadata": {"name": child.request_name, "labels": labels, "annotations": annotations},
        "roleRef": {**right, "name": "view"},
        "subjects": [],
    }

    async def put_right():
        return (await parent.get(CLUSTER_ROLE_BINDINGS, child.request_name))["roleRef"] == right

    await eventually(put_right)

    async def put_wrong():
        await parent.delete(CLUSTER_ROLE_BINDINGS, child.request_name)
        try:
            return await parent.create(CLUSTER_ROLE_BINDINGS, wrong)
        except AlreadyExists:  # the hub was quicker
            return None

    await eventually(put_wrong)
    await eventually(put_right)


async def test_a_request_posted_again_finds_its_objects(applicant, parent):
    child = applicant()
    await child.ask()
    before = await child.approved()
    await parent.delete(CLUSTER_REGISTRATION_REQUESTS, child.request_name)
    await gone(parent, CLUSTER_REGISTRATION_REQUESTS, child.request_name)
    await child.ask()
    assert without_token(await child.approved()) == without_token(before)
    await child.only(NAMESPACES)
    await child.only(SERVICE_ACCOUNTS)


async def test_nothing_comes_back_once_the_request_is_gone(applicant, parent):
    child, witness = applicant(), applicant()
    await child.ask()
    await child.approved()
    await parent.delete(CLUSTER_REGISTRATION_REQUESTS, child.request_name)
    await gone(parent, CLUSTER_REGISTRATION_REQUESTS, child.request_name)
    await parent.delete(CLUSTER_ROLES, child.request_name)
    await witness.ask()
    await witness.approved()
    assert await child.all_of(CLUSTER_ROLES) == []


async def test_a_status_that_was_wiped_is_written_again(applicant, parent):
    child = applicant()
    await child.ask()
    before = await child.approved()
    request = await child.request()
    await parent.update(CLUSTER_REGISTRATION_REQUESTS, {**request, "status": {}}, subresource="status")
    assert without_token(await child.approved()) == without_token(before)


async def test_an_approved_request_that_goes_wrong_stays_approved(applicant, parent):
    child = applicant()
    await child.ask()
    before = await child.approved()
    other = f"{child.id[:-1]}{'0' if child.id[-1] != '0' else '1'}"
    await parent.patch(CLUSTER_REGISTRATION_REQUESTS, child.request_name, {"spec": {"clusterId": other}})
    await child.obstructed("ClusterIDMismatch")
    status = await child.status()
    assert {field: status[field] for field in before} == before


async def test_many_requests_at_once(applicant):
    children = [applicant() for _ in range(50)]
    await asyncio.gather(*(child.ask() for child in children))
    statuses = await asyncio.gather(*(child.approved(timeout=120) for child in children))
    assert len({status["dedicatedNamespace"] for status in statuses}) == len(children)
