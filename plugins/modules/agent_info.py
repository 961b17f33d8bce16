#!/usr/bin/python

# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: agent_info
short_description: Show the identity of a child cluster and how its registration stands
version_added: 0.1.0
author:
  - The clusternet.core authors (!UNKNOWN)
description:
  - Reads the Lease of the agent on the child cluster. Its UID is the identity of the cluster at the parent.
  - The agent of this collection notes in that Lease which step of the registration is stuck and why;
    Clusternet's own agent does not.
options:
  namespace:
    description: Namespace of the agent on the child.
    type: str
    default: clusternet-system
  name:
    description: Name of the agent's Lease.
    type: str
    default: clusternet-agent
  wait:
    description: Whether to wait for O(wait_for).
    type: bool
    default: false
  wait_for:
    description:
      - V(running) is an agent that holds the Lease.
      - V(registered) is an agent that says that its cluster is registered, as that of this collection does. Where it
        says that it is refused for a reason that doesn't go away by itself, and stays with that for longer than it
        takes it to try again, the module fails without waiting any longer; the code of its RV(failure) is
        C(RegistrationRefused) then.
    type: str
    choices: [running, registered]
    default: running
    version_added: 0.6.0
  wait_timeout:
    description: Seconds to wait at most.
    type: int
    default: 60
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
attributes:
  check_mode:
    description: Can run in check mode and predict the result without changing anything.
    support: full
  diff_mode:
    description: Returns what was and what will be.
    support: none
    details: It changes nothing.
seealso:
  - module: clusternet.core.registration_info
    description: What the parent says about the registration.
"""

EXAMPLES = r"""
- name: Ask the agent of a child cluster
  clusternet.core.agent_info:
    kubeconfig: ~/.kube/child1.yaml
  register: agent

- name: Wait until a cluster is registered, or is refused
  clusternet.core.agent_info:
    kubeconfig: ~/.kube/child1.yaml
    wait: true
    wait_for: registered

- name: Say what is stuck
  ansible.builtin.debug:
    msg: "{{ agent.step }}: {{ agent.message }}"
  when: agent.step != 'registered'
"""

RETURN = r"""
exists:
  description: Whether there is a Lease, that is, whether an agent has ever run there.
  returned: success
  type: bool
  sample: true
cluster_id:
  description: Identity of the cluster, empty without a Lease.
  returned: success
  type: str
  sample: b6e4a4ac-9a6e-4b57-a8c5-5e4b5d1b9a3f
running:
  description: Whether an agent holds the Lease now.
  returned: success
  type: bool
  sample: true
step:
  description:
    - Step of the registration where the agent is, V(registered) when it is done.
    - Empty when the agent does not say.
  returned: success
  type: str
  sample: authentication
reason:
  description: Reason in one word.
  returned: success
  type: str
  sample: BootstrapTokenRejected
message:
  description: Reason in a sentence.
  returned: success
  type: str
  sample: the parent does not know the registration token; it is wrong, has expired or was deleted
since:
  description: When this became so.
  returned: success
  type: str
  sample: "2026-11-23T10:00:00Z"
failure:
  description: What went wrong, for programs.
  returned: failure
  type: dict
  sample: {"code": "RegistrationRefused", "message": "The registration is refused: …", "details": {"step": "approval"}}
"""

import time
from datetime import datetime, timezone
from typing import Any, Callable, Iterable, Optional

from ansible_collections.clusternet.core.plugins.module_utils import constants, nesting
from ansible_collections.clusternet.core.plugins.module_utils.auth import AUTH_ARGUMENTS
from ansible_collections.clusternet.core.plugins.module_utils.client import Client
from ansible_collections.clusternet.core.plugins.module_utils.clusternet_module import ClusternetModule
from ansible_collections.clusternet.core.plugins.module_utils.errors import ClusternetError
from ansible_collections.clusternet.core.plugins.module_utils.report import report
from ansible_collections.clusternet.core.plugins.module_utils.resources import Resource
from ansible_collections.clusternet.core.plugins.module_utils.wait import Deadline, wait_until

LEASES = Resource("coordination.k8s.io/v1", "Lease", "leases", True)
STATUS_ANNOTATION = "clusternet.io/registration-status"
REGISTERED = "registered"
_APPROVED_STEPS = (REGISTERED, "heartbeat", "deployer")
"""Steps at which the parent has approved the request."""
FINAL_REASONS = frozenset(
    {
        "RegistrationSecretInvalid",
        "ParentCertificateUntrusted",
        "BootstrapTokenRejected",
        "RegistrationForbidden",
        "RegistrationInvalid",
        "RegistrationDenied",
    }
)
"""Reasons that stay until somebody changes a Secret, a right or a decision."""
CONFIRMED_AFTER = 12.0
"""Seconds that a final reason must stand. An agent tries again after 8 at most, by what its Secret says then."""
_STATUS_FIELDS = {"step": "step", "reason": "reason", "message": "message", "since": "time"}


def main() -> None:
    module = ClusternetModule(
        argument_spec={
            **AUTH_ARGUMENTS,
            "namespace": {"type": "str", "default": constants.SYSTEM_NAMESPACE},
            "name": {"type": "str", "default": constants.LEASE_AGENT},
            "wait": {"type": "bool", "default": False},
            "wait_for": {"type": "str", "choices": ["running", "registered"], "default": "running"},
            "wait_timeout": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    with report(module) as doing:
        lease = read_lease(module, doing.connect())
        doing.result.update(view(lease, datetime.now(timezone.utc)))


def read_lease(module: ClusternetModule, client: Client) -> Optional[dict[str, Any]]:
    """Return the agent's Lease, None when there is none; waits when that was asked for."""
    params = module.params
    if not params["wait"]:
        return client.get(LEASES.path(params["name"], params["namespace"]))
    name = "{0}/{1}".format(params["namespace"], params["name"])
    registering = params["wait_for"] == REGISTERED
    judge = Registration(name, time.monotonic) if registering else None

    def missing(objects: Iterable[dict[str, Any]]) -> list[str]:
        now = datetime.now(timezone.utc)
        held = [item for item in objects if held_now(item, now)]
        if not held:
            return ["no agent holds the Lease {0}".format(name)]
        return judge.missing(held[0]) if judge else []

    return wait_until(
        client,
        LEASES.path(namespace=params["namespace"]),
        missing,
        Deadline(params["wait_timeout"]),
        "A registration" if registering else "An agent's start",
        field_selector="metadata.name={0}".format(params["name"]),
    )[0]


class Registration:
    """Judges by a Lease that is looked at again and again whether a cluster is registered, or never will be.

    What the agent said before the present one took the Lease counts for nothing.

    :param name: of the Lease, for messages
    :param clock: tells seconds
    """

    def __init__(self, name: str, clock: Callable[[], float]) -> None:
        self._name = name
        self._clock = clock
        self._refusal: Optional[tuple[str, str]] = None
        self._seen = 0.0

    def missing(self, lease: dict[str, Any]) -> list[str]:
        """Return why the cluster isn't registered; raises ClusternetError when it is refused and that has stood."""
        status = registration_status((lease["metadata"].get("annotations") or {}).get(STATUS_ANNOTATION, ""))
        said = {key: str(status.get(key, "")) for key in _STATUS_FIELDS.values()}
        acquired = str((lease.get("spec") or {}).get("acquireTime") or "")
        if said["time"][:19] < acquired[:19]:
            self._refusal = None
            return ["the agent that holds the Lease {0} hasn't said yet how it stands".format(self._name)]
        if said["step"] in _APPROVED_STEPS:
            return []
        refusal = (said["reason"], said["time"]) if said["reason"] in FINAL_REASONS else None
        if refusal != self._refusal:
            self._refusal, self._seen = refusal, self._clock()
        if refusal and self._clock() - self._seen >= CONFIRMED_AFTER:
            raise ClusternetError(
                "The registration is refused ({0}): {1}".format(said["reason"], said["message"]),
                "RegistrationRefused",
                step=said["step"],
                reason=said["reason"],
            )
        return ["the agent is at step '{0}' ({1}): {2}".format(said["step"], said["reason"], said["message"])]


def view(lease: Optional[dict[str, Any]], now: datetime) -> dict[str, Any]:
    """What the module returns about a Lease."""
    if lease is None:
        return {"exists": False, "cluster_id": "", "running": False, **dict.fromkeys(_STATUS_FIELDS, "")}
    metadata = lease["metadata"]
    annotations = metadata.get("annotations") or {}
    status = registration_status(annotations.get(STATUS_ANNOTATION, ""))
    return {
        "exists": True,
        "cluster_id": annotations.get(constants.ANNOTATION_LEGACY_CLUSTER_ID) or metadata["uid"],
        "running": held_now(lease, now),
        **{name: str(status.get(key, "")) for name, key in _STATUS_FIELDS.items()},
    }


def registration_status(text: str) -> dict[str, Any]:
    """The agent's note as a dictionary, empty when it is not one."""
    try:
        status = nesting.loads(text)
    except ValueError:
        return {}
    return status if isinstance(status, dict) else {}


def held_now(lease: dict[str, Any], now: datetime) -> bool:
    """Whether somebody holds the Lease and has renewed it in time."""
    spec = lease.get("spec") or {}
    if not spec.get("holderIdentity") or not spec.get("renewTime"):
        return False
    renewed = datetime.strptime(spec["renewTime"][:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc)
    return (now - renewed).total_seconds() <= spec.get("leaseDurationSeconds", 15)


if __name__ == "__main__":
    main()
