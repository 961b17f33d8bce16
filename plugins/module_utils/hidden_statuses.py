# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads on the children the statuses that their agents don't report.

Clusternet's own agent reports one status for each namespace and name, whatever the kind: of a Deployment and a Service
that share a name, the Deployment's is often hidden by the Service's. Where that is so, the workload is read through the
parent by the credential that its cluster has handed over, and its status is put where the agent would have put it.
"""

from __future__ import annotations

import time
from typing import Any, Mapping, Union

from ansible_collections.clusternet.core.plugins.module_utils import child_access, constants, publication
from ansible_collections.clusternet.core.plugins.module_utils.auth import ConnectionSettings
from ansible_collections.clusternet.core.plugins.module_utils.client import Client
from ansible_collections.clusternet.core.plugins.module_utils.errors import ClusternetError
from ansible_collections.clusternet.core.plugins.module_utils.health import workload_path

PERIOD = 2.0
"""Seconds between two looks at one object."""


class HiddenStatuses:
    """Adds to Descriptions what their agents don't report.

    Args:
        client: of the parent.
        settings: by which that was made.
    """

    def __init__(self, client: Client, settings: ConnectionSettings):
        self._client = client
        self._settings = settings
        self._children: dict[str, Client] = {}
        self._read: dict[tuple, tuple] = {}
        self.found = False
        """True once something had to be read on a child."""

    def completed(self, found: publication.Publication) -> publication.Publication:
        """Return a publication whose Descriptions have the hidden statuses, too."""
        return found._replace(descriptions=[self._with_statuses(description) for description in found.descriptions])

    def _with_statuses(self, description: dict[str, Any]) -> dict[str, Any]:
        hidden = publication.hidden_objects(description)
        if not hidden:
            return description
        self.found = True
        status = description["status"]
        statuses = [*status["manifestStatuses"], *(self._status(description, obj) for obj in hidden)]
        return {**description, "status": {**status, "manifestStatuses": statuses}}

    def _status(self, description: Mapping[str, Any], obj: Mapping[str, Any]) -> dict[str, Any]:
        metadata = obj["metadata"]
        namespace = metadata.get("namespace") or "default"
        key = (description["metadata"]["namespace"], obj["apiVersion"], obj["kind"], namespace, metadata["name"])
        read_at, status = self._read.get(key) or (None, {})
        if read_at is None or time.monotonic() - read_at >= PERIOD:
            status = self._look(description, workload_path(obj, namespace))
            self._read[key] = (time.monotonic(), status)
        reference = {"kind": obj["kind"], "namespace": metadata.get("namespace") or "", "name": metadata["name"]}
        return {**reference, "observedStatus": status} if isinstance(status, dict) else {**reference, "unread": status}

    def _look(self, description: Mapping[str, Any], path: str) -> Union[dict, str]:
        """Return the status of an object, or why it can't be read."""
        try:
            live = self._child(description).get(path)
        except ClusternetError as error:
            return error.msg
        if live is None:
            return "it isn't there"
        status = live.get("status") or {}
        return status if status.get("observedGeneration", 0) >= live["metadata"].get("generation", 0) else {}

    def _child(self, description: Mapping[str, Any]) -> Client:
        namespace, labels = description["metadata"]["namespace"], description["metadata"].get("labels") or {}
        if namespace not in self._children:
            cluster = {
                "metadata": {"namespace": namespace, "name": labels.get(constants.LABEL_CLUSTER_NAME) or namespace},
                "spec": {"clusterId": labels.get(constants.LABEL_CLUSTER_ID)},
            }
            self._children[namespace] = child_access.client_as_deployer(self._client, self._settings, cluster)
        return self._children[namespace]
