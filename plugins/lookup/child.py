# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: child
short_description: Read objects of children through their parent
version_added: 0.3.0
author:
  - The clusternet.core authors (@clusternet)
description:
  - Reads native objects from clusters registered with a parent, by name or as lists.
  - It runs on the control node, with the credential that each cluster's agent has handed to the parent.
  - For more than a line, and for many clusters at once, M(clusternet.core.child_object_info) is the better choice.
options:
  _terms:
    description: Names of the clusters.
    type: list
    elements: str
    required: true
  kind:
    description: Kind of the objects.
    type: str
    required: true
  api_version:
    description: API group and version of the objects.
    type: str
    default: v1
  name:
    description: Only the object with this name.
    type: str
  namespace:
    description: Only objects in this namespace; needed with O(name) if the kind has namespaces.
    type: str
  label_selector:
    description: Only objects whose labels match, in the form of C(kubectl -l).
    type: str
  field_selector:
    description: Only objects whose fields match, in the form of C(kubectl --field-selector).
    type: str
notes:
  - The connection options are those for the parent. Its user needs the same rights as for
    M(clusternet.core.child_object_info).
  - Text written by clusters is never evaluated as a template.
seealso:
  - module: clusternet.core.child_object_info
extends_documentation_fragment:
  - clusternet.core.inventory_auth_options
"""

EXAMPLES = r"""
- name: Show the settings of a cluster
  ansible.builtin.debug:
    msg: "{{ lookup('clusternet.core.child', 'edge-1', kind='ConfigMap', namespace='web', name='settings').data }}"

- name: Show the nodes of two clusters
  ansible.builtin.debug:
    msg: "{{ query('clusternet.core.child', 'edge-1', 'edge-2', kind='Node') | map(attribute='metadata.name') }}"
"""

RETURN = r"""
_list:
  description: The objects that were found, cluster by cluster, without C(managedFields).
  type: list
  elements: dict
"""

from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase
from ansible_collections.clusternet.core.plugins.module_utils import child_access, child_queries, fleet, validate
from ansible_collections.clusternet.core.plugins.module_utils.auth import AUTH_ARGUMENTS, connection_settings
from ansible_collections.clusternet.core.plugins.module_utils.client import Client
from ansible_collections.clusternet.core.plugins.module_utils.errors import ClusternetError
from ansible_collections.clusternet.core.plugins.plugin_utils.empty_options import EmptyIsUnset
from ansible_collections.clusternet.core.plugins.plugin_utils.trust import guard

_QUERY = ("api_version", "kind", "name", "namespace", "label_selector", "field_selector")


class LookupModule(EmptyIsUnset, LookupBase):
    """Objects of children."""

    def run(self, terms: list[Any], variables: Any = None, **kwargs: Any) -> list[Any]:
        """Read what the options ask for from the clusters named by the terms."""
        self.set_options(var_options=variables, direct=kwargs)
        try:
            return guard()(self._read([str(term) for term in terms]))
        except ClusternetError as error:
            raise AnsibleError(error.msg) from None

    def _read(self, names: list[str]) -> list[dict[str, Any]]:
        if not names:
            raise validate.invalid("_terms", "name at least one cluster")
        wanted = child_queries.query("lookup", {name: self.get_option(name) for name in _QUERY})
        chosen = fleet.Selection([validate.dns_label("_terms", name) for name in names], None, None)
        settings = connection_settings({name: self.get_option(name) for name in AUTH_ARGUMENTS})
        parent = Client(settings)
        clusters = {item["metadata"]["name"]: item for item in fleet.existing(parent, chosen)}
        child_access.require_served(parent)
        found: list[dict[str, Any]] = []
        for name in names:
            child = child_access.client_as_deployer(parent, settings, clusters[name])
            objects, unknown = child_queries.read(child, [wanted])
            if unknown:
                raise ClusternetError(f"The cluster {name} doesn't serve {unknown[0]}.", "UnknownKind")
            found += objects
        return found
