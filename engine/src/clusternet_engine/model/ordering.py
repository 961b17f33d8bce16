"""The order in which objects are applied, so that each finds what it needs; removed in reverse (spec/03 §8.2)."""

from __future__ import annotations

from collections.abc import Iterable

from clusternet_engine.kube.resources import Object

_WAVES = (
    # Cluster-scoped objects that others live in, are instances of, or refer to.
    (
        "Namespace",
        "CustomResourceDefinition",
        "PriorityClass",
        "RuntimeClass",
        "StorageClass",
        "CSIDriver",
        "VolumeSnapshotClass",
        "IngressClass",
        "PersistentVolume",
        "FlowSchema",
        "PriorityLevelConfiguration",
        "ClusterRole",
    ),
    ("ClusterRoleBinding",),
    # What workloads and their permissions are made of.
    (
        "NetworkPolicy",
        "ResourceQuota",
        "LimitRange",
        "PodDisruptionBudget",
        "ServiceAccount",
        "Secret",
        "ConfigMap",
        "PersistentVolumeClaim",
        "Role",
        "PodTemplate",
        "Lease",
    ),
    ("RoleBinding", "Service", "Endpoints", "EndpointSlice"),
    (
        "DaemonSet",
        "Pod",
        "ReplicationController",
        "ReplicaSet",
        "Deployment",
        "StatefulSet",
        "HorizontalPodAutoscaler",
        "Job",
        "CronJob",
        "Ingress",
    ),
)
_CUSTOM = len(_WAVES)
_LATE = _CUSTOM + 1
_LATE_KINDS = (
    "APIService",
    "MutatingWebhookConfiguration",
    "ValidatingWebhookConfiguration",
    "MutatingAdmissionPolicy",
    "MutatingAdmissionPolicyBinding",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
)
"""They reach into requests for other objects, so those come first."""
_WAVE_OF = {kind: number for number, kinds in enumerate(_WAVES) for kind in kinds} | dict.fromkeys(_LATE_KINDS, _LATE)
_BUILT_IN_GROUPS = ("", "apps", "autoscaling", "batch", "extensions", "policy")


def wave(obj: Object) -> int:
    """Return the number of the wave in which an object, or a reference to one, is applied.

    Kinds that Kubernetes doesn't bring along follow the workloads: the controllers that act on them are among those.
    """
    group = obj["apiVersion"].rpartition("/")[0]
    if group in _BUILT_IN_GROUPS or group.endswith(".k8s.io"):
        return _WAVE_OF.get(obj["kind"], _CUSTOM)
    return _CUSTOM


def waves(objects: Iterable[Object]) -> list[list[Object]]:
    """Return objects, or references to them, in groups to be applied one after the other; none is empty."""
    groups: dict[int, list[Object]] = {}
    for obj in objects:
        groups.setdefault(wave(obj), []).append(obj)
    return [groups[number] for number in sorted(groups)]
