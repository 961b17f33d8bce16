# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Lists of what is published, which one module each writes and C(render) previews."""

    SUBSCRIPTIONS = r"""
options:
  subscriptions:
    description: The Subscriptions.
    type: list
    elements: dict
    suboptions:
      name:
        description:
          - Name.
          - Clusternet's own hub can't publish charts by Subscriptions whose names are longer than 52 characters.
        type: str
        required: true
      namespace:
        description: Namespace on the parent.
        type: str
        default: default
      labels:
        description: Labels that it has. A label with the value null is removed.
        type: dict
      annotations:
        description: Annotations that it has. An annotation with the value null is removed.
        type: dict
      scheduler_name:
        description: The scheduler that handles it.
        type: str
        default: default
      scheduling_strategy:
        description:
          - With V(Replication), every chosen cluster gets the same.
          - With V(Dividing), the replicas of workloads are shared out among the clusters.
        type: str
        choices: [Replication, Dividing]
        default: Replication
      scheduling_by_sub_group:
        description: Take from each subscriber only as many clusters as its C(sub_group_strategy) says.
        type: bool
        default: false
      dividing_scheduling:
        description: How replicas are shared out.
        type: dict
        suboptions:
          type:
            description:
              - With V(Static), by the weights of the subscribers.
              - With V(Dynamic), by the room that the clusters report.
            type: str
            choices: [Static, Dynamic]
            default: Static
          dynamic_dividing:
            description: How V(Dynamic) shares out.
            type: dict
            suboptions:
              strategy:
                description: V(Spread) fills clusters evenly. V(Binpack) is part of the API, but no hub can do it.
                type: str
                choices: [Spread, Binpack]
                default: Spread
              topology_spread_constraints:
                description: Part of the API, in its own form; no hub heeds it.
                type: list
                elements: dict
              preferred_clusters:
                description: Part of the API, in its own form; no hub heeds it.
                type: list
                elements: dict
              min_clusters:
                description: Part of the API; no hub heeds it.
                type: int
              max_clusters:
                description: Part of the API; no hub heeds it.
                type: int
      priority:
        description: Of the Subscriptions of a namespace, those with a higher number are scheduled first.
        type: int
        default: 0
      preemption_policy:
        description: Part of the API; no hub heeds it.
        type: str
        choices: [PreemptLowerPriority, PreemptNever]
        default: PreemptLowerPriority
      subscribers:
        description: Which clusters are chosen - those that any of these matches. Needed, unless it is to be removed.
        type: list
        elements: dict
        suboptions:
          cluster_affinity:
            description: The labels of the clusters. An empty mapping matches every cluster.
            type: dict
            required: true
            suboptions:
              match_labels:
                description: Labels that a cluster has.
                type: dict
              match_expressions:
                description: Conditions that all hold.
                type: list
                elements: dict
                suboptions:
                  key:
                    description: Key of the label.
                    type: str
                    required: true
                  operator:
                    description: What is compared.
                    type: str
                    choices: [In, NotIn, Exists, DoesNotExist]
                    required: true
                  values:
                    description: Values, for V(In) and V(NotIn).
                    type: list
                    elements: str
          weight:
            description: Share of these clusters, with V(Static).
            type: int
          sub_group_strategy:
            description: How many of these clusters are taken, with C(scheduling_by_sub_group).
            type: dict
            suboptions:
              min_clusters:
                description: Number of clusters.
                type: int
                required: true
      cluster_tolerations:
        description: Taints of clusters that don't keep this Subscription away.
        type: list
        elements: dict
        suboptions:
          key:
            description: Key of the taint; any if not given.
            type: str
          operator:
            description: Whether the value must be equal, which is the default, or only the key exist.
            type: str
            choices: [Equal, Exists]
          value:
            description: Value of the taint.
            type: str
          effect:
            description: Effect of the taint; any if not given.
            type: str
            choices: [NoSchedule, PreferNoSchedule, NoExecute]
          toleration_seconds:
            description: Part of the API; no hub heeds it.
            type: int
      feeds:
        description: What is published, each named once. Needed, unless it is to be removed.
        type: list
        elements: dict
        suboptions:
          api_version:
            description: API group and version; not needed for HelmCharts.
            type: str
          kind:
            description: Kind.
            type: str
            required: true
          namespace:
            description: Namespace; not for kinds that have none.
            type: str
          name:
            description: Name.
            type: str
            required: true
"""

    CHARTS = r"""
options:
  charts:
    description: The HelmCharts.
    type: list
    elements: dict
    suboptions:
      name:
        description: Name of the object, and of the releases that are made of it; at most 63 characters.
        type: str
        required: true
      namespace:
        description: Namespace of the object on the parent.
        type: str
        default: default
      labels:
        description: Labels that the object has, and its releases too. A label with the value null is removed.
        type: dict
      annotations:
        description: Annotations that the object has. An annotation with the value null is removed.
        type: dict
      repo:
        description:
          - URL of the repository, which begins with C(https://), C(http://) or C(oci://).
          - Needed, unless it is to be removed.
        type: str
      chart:
        description: Name of the chart in the repository. Needed, unless it is to be removed.
        type: str
      version:
        description: Version of the chart. The newest one if not given; in OCI registries it must be given.
        type: str
      target_namespace:
        description:
          - Namespace on the clusters into which the release is installed. Needed, unless it is to be removed.
          - When it changes, the release is uninstalled in the former one and installed anew.
        type: str
      pull_secret:
        description:
          - Secret of the parent with the keys C(username) and C(password) for the repository, and C(ca.crt) if needed.
          - >-
            In another namespace than the chart it needs a label by which whoever may write the Secret releases it,
            C(pull-secret-for.clusternet.io/<namespace of the chart>) with the value C(true).
        type: dict
        suboptions:
          name:
            description: Name of the Secret.
            type: str
            required: true
          namespace:
            description: Namespace of the Secret.
            type: str
            required: true
      create_namespace:
        description: Create the namespace on the clusters.
        type: bool
        default: true
      timeout_seconds:
        description: How long Helm may take for an installation or upgrade, in seconds.
        type: int
        default: 300
      plain_http:
        description: Speak HTTP, not HTTPS, with an OCI registry.
        type: bool
        default: false
      wait:
        description: Let Helm wait until what it has installed is ready.
        type: bool
        default: false
      wait_for_job:
        description: Let Helm wait for jobs, too.
        type: bool
        default: false
      replace:
        description: Install also where a removed release of this name has left its history.
        type: bool
        default: false
      atomic:
        description: Remove a release whose installation fails.
        type: bool
        default: false
      upgrade_atomic:
        description: Roll an upgrade back that fails.
        type: bool
        default: false
      skip_crds:
        description: Leave the custom resource definitions of the chart out.
        type: bool
        default: false
      replace_crds:
        description: Apply the custom resource definitions of the chart at every installation and upgrade.
        type: bool
        default: false
      disable_hooks:
        description: Leave the hooks of the chart out.
        type: bool
        default: false
      force:
        description: Let Helm replace objects that it can't change.
        type: bool
        default: false
"""

    LOCALIZATIONS = r"""
options:
  localizations:
    description: The Localizations.
    type: list
    elements: dict
    suboptions:
      name:
        description: Name.
        type: str
        required: true
      cluster:
        description:
          - Name of the cluster. Either this or C(namespace) is required.
          - To remove something, a cluster that is no longer registered is fine.
        type: str
      namespace:
        description: The cluster's namespace on the parent.
        type: str
      labels:
        description: Labels that it has. A label with the value null is removed.
        type: dict
      annotations:
        description: Annotations that it has. An annotation with the value null is removed.
        type: dict
      override_policy:
        description:
          - With V(ApplyNow), the clusters are changed at once.
          - With V(ApplyLater), when what is published changes for another reason. That is the default of the API.
        type: str
        choices: [ApplyNow, ApplyLater]
        default: ApplyNow
      priority:
        description: From 0 to 1000; of two that set the same field, the one with the higher number wins.
        type: int
        default: 500
      feed:
        description: What is overridden. Needed, unless it is to be removed.
        type: dict
        suboptions:
          api_version:
            description: API group and version; not needed for HelmCharts.
            type: str
          kind:
            description: Kind.
            type: str
            required: true
          namespace:
            description: Namespace; not for kinds that have none.
            type: str
          name:
            description: Name.
            type: str
            required: true
      overrides:
        description: The differences, applied in this order.
        type: list
        elements: dict
        suboptions:
          name:
            description: A name for people.
            type: str
          type:
            description:
              - V(Helm) - for charts, values. For native objects, merged as Helm merges values.
              - V(MergePatch) - a merge patch; null removes a field.
              - V(JSONPatch) - a list of operations of a JSON patch.
              - V(FieldMergePatch), V(FieldJSONPatch) - the same inside of a text field, such as a file in a ConfigMap.
            type: str
            choices: [Helm, JSONPatch, MergePatch, FieldJSONPatch, FieldMergePatch]
            required: true
          value:
            description:
              - The values or the patch - a mapping, for JSON patches a list, or YAML or JSON text.
              - Data is better than text, because it is sent as JSON, which has no surprises such as C(y) for true.
            type: raw
            required: true
          override_chart:
            description: Change the HelmChart, such as its version, not the values. Its type is V(Helm) then.
            type: bool
            default: false
          field_path:
            description: Path to the text field, such as C(/data/server.conf), for the Field types.
            type: str
          field_format:
            description: What the text is, for the Field types.
            type: str
            choices: [YAML, JSON]
"""

    GLOBALIZATIONS = r"""
options:
  globalizations:
    description: The Globalizations.
    type: list
    elements: dict
    suboptions:
      name:
        description: Name.
        type: str
        required: true
      cluster_affinity:
        description: The labels of the clusters; all clusters if not given.
        type: dict
        suboptions:
          match_labels:
            description: Labels that a cluster has.
            type: dict
          match_expressions:
            description: Conditions that all hold.
            type: list
            elements: dict
            suboptions:
              key:
                description: Key of the label.
                type: str
                required: true
              operator:
                description: What is compared.
                type: str
                choices: [In, NotIn, Exists, DoesNotExist]
                required: true
              values:
                description: Values, for V(In) and V(NotIn).
                type: list
                elements: str
      labels:
        description: Labels that it has. A label with the value null is removed.
        type: dict
      annotations:
        description: Annotations that it has. An annotation with the value null is removed.
        type: dict
      override_policy:
        description:
          - With V(ApplyNow), the clusters are changed at once.
          - With V(ApplyLater), when what is published changes for another reason. That is the default of the API.
        type: str
        choices: [ApplyNow, ApplyLater]
        default: ApplyNow
      priority:
        description: From 0 to 1000; of two that set the same field, the one with the higher number wins.
        type: int
        default: 500
      feed:
        description: What is overridden. Needed, unless it is to be removed.
        type: dict
        suboptions:
          api_version:
            description: API group and version; not needed for HelmCharts.
            type: str
          kind:
            description: Kind.
            type: str
            required: true
          namespace:
            description: Namespace; not for kinds that have none.
            type: str
          name:
            description: Name.
            type: str
            required: true
      overrides:
        description: The differences, applied in this order.
        type: list
        elements: dict
        suboptions:
          name:
            description: A name for people.
            type: str
          type:
            description:
              - V(Helm) - for charts, values. For native objects, merged as Helm merges values.
              - V(MergePatch) - a merge patch; null removes a field.
              - V(JSONPatch) - a list of operations of a JSON patch.
              - V(FieldMergePatch), V(FieldJSONPatch) - the same inside of a text field, such as a file in a ConfigMap.
            type: str
            choices: [Helm, JSONPatch, MergePatch, FieldJSONPatch, FieldMergePatch]
            required: true
          value:
            description:
              - The values or the patch - a mapping, for JSON patches a list, or YAML or JSON text.
              - Data is better than text, because it is sent as JSON, which has no surprises such as C(y) for true.
            type: raw
            required: true
          override_chart:
            description: Change the HelmChart, such as its version, not the values. Its type is V(Helm) then.
            type: bool
            default: false
          field_path:
            description: Path to the text field, such as C(/data/server.conf), for the Field types.
            type: str
          field_format:
            description: What the text is, for the Field types.
            type: str
            choices: [YAML, JSON]
"""

    SHOW_VALUES = r"""
options:
  show_values:
    description:
      - Show the values of overrides and charts in results and diffs. By default only their keys are shown, and digests
        in the place of what may be secret. Equal values have equal digests, in one run.
      - What is shown stands in logs, too. Contents of Secrets, and what overrides them, are never shown.
    type: bool
    default: false
"""
