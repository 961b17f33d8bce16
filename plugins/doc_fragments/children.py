# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Which children of a parent are meant, and as whom they are reached."""

    DOCUMENTATION = r"""
options:
  names:
    description: The clusters with these names; a name of which there is no cluster is an error.
    type: list
    elements: str
  label_selector:
    description: The clusters whose labels match, in the form of C(kubectl -l).
    type: str
  namespace:
    description: The cluster in this namespace of the parent.
    type: str
  service_account:
    description:
      - Act on the clusters as this ServiceAccount of theirs, by a short-lived token that is made for it.
      - If not given, act by the credential that each cluster's agent has handed to the parent, which may do everything
        there.
    type: dict
    suboptions:
      name:
        description: Name of the ServiceAccount.
        type: str
        required: true
      namespace:
        description: Namespace of the ServiceAccount on the clusters.
        type: str
        required: true
notes:
  - The clusters are reached through the parent and the tunnels of their agents; no network path to them is needed. The
    connection options are those for the parent.
  - The parent's user needs the right to use the proxy (variable C(clusternet_hub_proxy_subjects) of the role
    P(clusternet.core.hub#role)), to list ManagedClusters, and to read the Secret C(child-cluster-deployer) in their
    namespaces.
"""
