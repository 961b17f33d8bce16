#!/usr/bin/python

# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: render
short_description: Preview what would land on which cluster
version_added: 0.2.0
description:
  - Answers, without touching anything, what would be deployed to each cluster if these feeds, Subscriptions and
    overrides were applied - as data, and in diff mode as differences from what is there.
  - What is given is laid over what the parent has, as the other modules would do it. So the options are theirs.
  - The rules are the hub's own, from the Python package C(clusternet-engine).
options:
  definitions:
    description:
      - Native objects, as for M(clusternet.core.manifest) - mappings, or texts with any number of objects.
      - Defaults that the parent would fill in are not in the result of an object that it doesn't have yet.
    type: list
    elements: raw
    default: []
  src:
    description: Paths of YAML or JSON files with further native objects, on the host on which the module runs.
    type: list
    elements: path
    default: []
  namespace:
    description:
      - The namespace of native objects that name none, as in O(clusternet.core.manifest#module:namespace).
      - The parent says which kinds have namespaces; one that it doesn't know needs a namespace of its own then.
    type: str
    version_added: 0.6.0
  subscriptions:
    default: []
  charts:
    default: []
  localizations:
    default: []
  globalizations:
    default: []
  reserved_namespace:
    description: Where the hub keeps Manifests.
    type: str
    default: clusternet-reserved
requirements:
  - clusternet-engine (Python package), where the module runs
notes:
  - The result is about the given Subscriptions and those that publish any of what else is given. An entry of
    O(subscriptions) with only a name and a namespace means the Subscription as it is.
  - RV(ignore:changed) says whether applying would change anything on any cluster; otherwise no diff would be shown.
  - With dynamic dividing each cluster is supposed to have enough room, because only the clusters' predictors know.
  - A chart that is new or changed is supposed to be in its repository.
attributes:
  check_mode:
    description: Only reads, in check mode too.
    support: full
  diff_mode:
    description: Shows, for each cluster, what would change. Contents of Secrets are replaced by digests.
    support: full
seealso:
  - module: clusternet.core.subscription
  - module: clusternet.core.localization
  - module: clusternet.core.globalization
extends_documentation_fragment:
  - clusternet.core.publishing.subscriptions
  - clusternet.core.publishing.charts
  - clusternet.core.publishing.localizations
  - clusternet.core.publishing.globalizations
  - clusternet.core.publishing.show_values
  - kubernetes.core.k8s_auth_options
author:
  - The clusternet.core authors (!UNKNOWN)
"""

EXAMPLES = r"""
- name: What would change if a Deployment had one replica on a cluster
  clusternet.core.render:
    localizations:
      - name: replicas
        cluster: edge-2
        feed:
          api_version: apps/v1
          kind: Deployment
          namespace: foo
          name: my-nginx
        overrides:
          - type: JSONPatch
            value:
              - op: replace
                path: /spec/replicas
                value: 1

- name: What a new application would be on the clusters of a site
  clusternet.core.render:
    definitions:
      - apiVersion: v1
        kind: ConfigMap
        metadata:
          name: settings
          namespace: foo
        data:
          colour: blue
    subscriptions:
      - name: settings
        subscribers:
          - cluster_affinity:
              match_labels:
                site: north
        feeds:
          - api_version: v1
            kind: ConfigMap
            namespace: foo
            name: settings
"""

RETURN = r"""
subscriptions:
  description: What would become of each Subscription, by namespace and name.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name.
      type: str
      sample: settings
    namespace:
      description: Namespace.
      type: str
      sample: default
    reason:
      description: V(Scheduled), or why it can't be scheduled as it should. Then it would stay where it is.
      type: str
      sample: Scheduled
    message:
      description: A sentence about that.
      type: str
      sample: bound to 1 cluster
    replicas:
      description: Replicas of each feed, in the order of the namespaces of the clusters, when they are divided.
      type: dict
      sample: {}
    clusters:
      description: The clusters that it would be on, and those that it would leave, by name.
      type: list
      elements: dict
      contains:
        name:
          description: Name of the cluster.
          type: str
          sample: edge-1
        namespace:
          description: Its namespace on the parent.
          type: str
          sample: clusternet-x7k2p
        objects:
          description: The native objects that it would get.
          type: list
          elements: dict
          sample: [{apiVersion: v1, kind: ConfigMap, metadata: {name: settings, namespace: foo}, data: {colour: blue}}]
        charts:
          description: The charts that it would get.
          type: list
          elements: dict
          contains:
            name:
              description: Name of the HelmChart, and of the release.
              type: str
              sample: mysql
            namespace:
              description: Namespace of the HelmChart on the parent.
              type: str
              sample: default
            labels:
              description: Labels of the HelmChart after all overrides.
              type: dict
              sample: {}
            spec:
              description: Spec of the HelmChart after all overrides.
              type: dict
              sample: {chart: mysql, version: 9.2.0}
            values:
              description: The values, as O(show_values) says.
              type: dict
              sample: {auth: {database: "hidden, digest 0123456789abcdef"}}
        changes:
          description: What would happen to each object and chart.
          type: list
          elements: dict
          contains:
            what:
              description: Kind, namespace and name.
              type: str
              sample: ConfigMap foo/settings
            action:
              description: One of V(created), V(updated), V(deleted), V(unchanged).
              type: str
              sample: created
        problems:
          description: Feeds that couldn't be rendered. On the cluster they would stay as they are.
          type: list
          elements: dict
          contains:
            reason:
              description: One word, such as V(FeedMissing) or V(OverrideFailed).
              type: str
              sample: FeedMissing
            message:
              description: What is wrong and what to do.
              type: str
              sample: "ConfigMap foo/settings doesn't exist; create it, or take it out of the Subscription."
failure:
  description: What went wrong, for programs.
  returned: failure
  type: dict
  sample: {"code": "MissingLibrary", "message": "Failed to import clusternet-engine", "details": {}}
"""

from ansible.module_utils.basic import missing_required_lib
from ansible_collections.clusternet.core.plugins.module_utils import (
    helm_chart,
    overrides,
    preview,
    preview_wanted,
    subscription,
)
from ansible_collections.clusternet.core.plugins.module_utils.auth import AUTH_ARGUMENTS
from ansible_collections.clusternet.core.plugins.module_utils.preview_report import PreviewReport
from ansible_collections.clusternet.core.plugins.module_utils.private_module import SHOW_VALUES, PrivateModule
from ansible_collections.clusternet.core.plugins.module_utils.redact import Redactor
from ansible_collections.clusternet.core.plugins.module_utils.report import report


def main():
    module = PrivateModule(
        argument_spec={
            **AUTH_ARGUMENTS,
            **SHOW_VALUES,
            "definitions": {"type": "list", "elements": "raw", "default": []},
            "src": {"type": "list", "elements": "path", "default": []},
            "namespace": {"type": "str"},
            "subscriptions": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": subscription.SUBSCRIPTION_ARGUMENTS,
            },
            "charts": {"type": "list", "elements": "dict", "default": [], "options": helm_chart.CHART_ARGUMENTS},
            "localizations": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": overrides.LOCALIZATION_ARGUMENTS,
                "required_one_of": [("cluster", "namespace")],
                "mutually_exclusive": [("cluster", "namespace")],
            },
            "globalizations": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": overrides.GLOBALIZATION_ARGUMENTS,
            },
            "reserved_namespace": {"type": "str", "default": "clusternet-reserved"},
        },
        supports_check_mode=True,
    )
    if preview.ENGINE_ERROR:
        module.fail_json(msg=missing_required_lib(preview.ENGINE), exception=preview.ENGINE_ERROR)
    params = module.params
    with report(module) as doing:
        wanted = preview_wanted.wanted(params, doing.connect)
        module.conceal(wanted.definitions)
        parent = preview.Preview(doing.connect(), wanted, params["reserved_namespace"])
        found = [parent.of(key) for key in preview_wanted.chosen(parent, wanted, params["subscriptions"])]
        shown = PreviewReport(Redactor(show_values=params["show_values"]))
        doing.result["subscriptions"] = [shown.view(item) for item in found]
        diffs = [diff for item in found for diff in shown.diffs(item)]
        doing.result["changed"] = bool(diffs)
        if module._diff:
            doing.result["diff"] = diffs


if __name__ == "__main__":
    main()
