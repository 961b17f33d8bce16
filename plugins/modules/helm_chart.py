#!/usr/bin/python

# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: helm_chart
short_description: Name the Helm charts that Subscriptions publish
version_added: 0.2.0
description:
  - Creates, changes and removes HelmCharts at a Clusternet parent, many in one task over one connection.
  - A HelmChart names a chart in a repository and how its releases are made. A Subscription with a feed of kind
    C(HelmChart) installs it on clusters; values come from M(clusternet.core.localization) and
    M(clusternet.core.globalization).
  - What is not given has its default. Fields that somebody else has changed are taken back.
options:
  charts:
    required: true
  state:
    description:
      - With V(present), the HelmCharts are as described.
      - With V(absent), they are removed. A HelmChart that a Subscription still publishes goes when the Subscription
        no longer does.
    type: str
    choices: [present, absent]
    default: present
  wait:
    description:
      - Wait until the hub has found the charts in their repositories; with O(state=absent), until the HelmCharts are
        gone.
      - A chart that stays unfound for some seconds fails before the time is over, with the reason.
    type: bool
    default: false
  wait_timeout:
    description: How long to wait at most for all of them together, in seconds.
    type: int
    default: 120
attributes:
  check_mode:
    description: Can run in check mode and say what would change.
    support: full
  diff_mode:
    description: Shows what changed; also on the clusters, where the package C(clusternet-engine) is installed.
    support: full
extends_documentation_fragment:
  - clusternet.core.publishing.charts
  - clusternet.core.publishing.show_values
  - kubernetes.core.k8s_auth_options
author:
  - The clusternet.core authors (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Name a chart of a repository and one of a registry
  clusternet.core.helm_chart:
    charts:
      - name: mysql
        repo: https://charts.example.com/stable
        chart: mysql
        version: 9.2.0
        target_namespace: abc
      - name: cache
        repo: oci://registry.example.com/charts
        chart: redis
        version: 18.1.0
        target_namespace: cache
        pull_secret:
          name: registry
          namespace: default

- name: Remove one of them
  clusternet.core.helm_chart:
    charts:
      - name: cache
    state: absent
    wait: true
"""

RETURN = r"""
charts:
  description: What became of each HelmChart, in the order given.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name.
      type: str
      sample: mysql
    namespace:
      description: Namespace.
      type: str
      sample: default
    action:
      description: One of V(created), V(updated), V(deleted), V(unchanged).
      type: str
      sample: created
    predicted:
      description: Whether this is a prediction that the server couldn't check, because the namespace doesn't exist yet.
      type: bool
      sample: false
    failed:
      description: Whether something went wrong with it.
      type: bool
      sample: false
    msg:
      description: What went wrong; null if nothing did.
      type: str
      sample: null
msg:
  description: What went wrong.
  returned: failure
  type: str
  sample: "1 of 2 charts failed: default/cache: chart redis 18.1.0 is not in oci://registry.example.com/charts"
failure:
  description: What went wrong, for programs.
  returned: failure
  type: dict
  sample: {"code": "SomeFailed", "message": "1 of 2 charts failed", "details": {"names": ["cache"]}}
"""

from ansible_collections.clusternet.core.plugins.module_utils import custom_objects, helm_chart, validate
from ansible_collections.clusternet.core.plugins.module_utils.auth import AUTH_ARGUMENTS
from ansible_collections.clusternet.core.plugins.module_utils.chart_wait import ChartWait
from ansible_collections.clusternet.core.plugins.module_utils.clusternet_module import ClusternetModule
from ansible_collections.clusternet.core.plugins.module_utils.foresight import foresight
from ansible_collections.clusternet.core.plugins.module_utils.private_module import SHOW_VALUES
from ansible_collections.clusternet.core.plugins.module_utils.report import report
from ansible_collections.clusternet.core.plugins.module_utils.resources import HELM_CHARTS
from ansible_collections.clusternet.core.plugins.module_utils.wait import Deadline


def main():
    module = ClusternetModule(
        argument_spec={
            **AUTH_ARGUMENTS,
            **SHOW_VALUES,
            "charts": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": helm_chart.CHART_ARGUMENTS,
            },
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "wait": {"type": "bool", "default": False},
            "wait_timeout": {"type": "int", "default": 120},
        },
        supports_check_mode=True,
    )
    params = module.params
    with report(module) as doing:
        places = custom_objects.places(HELM_CHARTS, "charts", params["charts"])
        deadline = Deadline(validate.wait_timeout("wait_timeout", params["wait_timeout"]))
        items = custom_objects.Items(doing.result, "charts", "charts")
        work = custom_objects.Work(doing.reconciler(), HELM_CHARTS, items, foresight(module, "charts"))
        if params["state"] == "present":
            wanted = [helm_chart.helm_chart("charts", given) for given in params["charts"]]
            done = work.present(wanted)
        else:
            done = work.absent(places)
        if params["wait"] and not module.check_mode:
            waiting = ChartWait(doing.connect(), items, done, deadline)
            if params["state"] == "present":
                waiting.until_found()
            else:
                waiting.until_gone()
        items.finish()


if __name__ == "__main__":
    main()
