"""The address ranges of a cluster, read from the flags of its control plane pods (spec/02 §8)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator

from clusternet_engine.kube.resources import Object
from clusternet_engine.model import constants as names


def service_cidr(pods: Iterable[Object]) -> str:
    """Return the range of Services: `--service-cluster-ip-range` of API servers, then controller managers; else ""."""
    return _first(pods, "--service-cluster-ip-range", ("kube-apiserver", "kube-controller-manager"))


def cluster_cidr(pods: Iterable[Object]) -> str:
    """Return the range of Pods: `--cluster-cidr` of controller managers, then kube-proxies; else ""."""
    return _first(pods, "--cluster-cidr", ("kube-controller-manager", "kube-proxy"))


def flag_values(words: Iterable[str], flag: str) -> Iterator[str]:
    """Yield the values of a flag, written `--flag=value` or `--flag value`, also within a shell's command string."""
    wanted = False
    for word in (part.strip("'\"") for text in words for part in text.split()):
        if wanted:
            wanted = False
            if not word.startswith("-"):
                yield word
                continue
        name, equals, value = word.partition("=")
        if name == flag:
            if equals:
                yield value.strip("'\"")
            else:
                wanted = True


def _first(pods: Iterable[Object], flag: str, components: tuple[str, ...]) -> str:
    pods = list(pods)
    for component in components:
        for pod in pods:
            if component in _components(pod):
                for container in (pod.get("spec") or {}).get("containers") or ():
                    words = [*(container.get("command") or ()), *(container.get("args") or ())]
                    for value in flag_values(words, flag):
                        if _is_cidr_list(value):
                            return value
    return ""


def _components(pod: Object) -> set[str]:
    labels = pod["metadata"].get("labels") or {}
    return {labels[key] for key in (*names.COMPONENT_LABELS, "k8s-app") if key in labels}


def _is_cidr_list(value: str) -> bool:
    try:
        return all("/" in part and ipaddress.ip_network(part, strict=False) for part in value.split(","))
    except ValueError:
        return False
