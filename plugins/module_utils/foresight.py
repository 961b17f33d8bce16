# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""For diffs: what a change at the parent will change on the clusters, told before it is made."""

from __future__ import annotations

from typing import Any, Callable, Optional

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.clusternet.core.plugins.module_utils.client import Client
from ansible_collections.clusternet.core.plugins.module_utils.errors import ClusternetError
from ansible_collections.clusternet.core.plugins.module_utils.redact import Redactor

Foresight = Callable[[Client, list], list]
"""Takes the objects that are wanted, or being deleted, returns diffs of what will be another one on each cluster."""


def foresight(module: AnsibleModule, field: str) -> Optional[Foresight]:
    """The foresight for wanted objects of the I(field) of C(preview.Wanted).

    There is none unless diffs are asked for, and without the package C(clusternet-engine), whose rules it needs.
    """
    if not module._diff:
        return None
    from ansible_collections.clusternet.core.plugins.module_utils import preview, preview_wanted
    from ansible_collections.clusternet.core.plugins.module_utils.preview_report import PreviewReport

    if preview.ENGINE_ERROR:
        return None

    def foresee(client: Client, wanted: list) -> list[dict[str, Any]]:
        applied = preview.Wanted([], [], [], [], [])._replace(**{field: wanted})
        shown = PreviewReport(Redactor(show_values=module.params["show_values"]))
        try:
            parent = preview.Preview(client, applied)
            found = [parent.of(key) for key in preview_wanted.chosen(parent, applied, [])]
        except ClusternetError:  # the change itself will tell
            return []
        return [diff for item in found for diff in shown.diffs(item)]

    return foresee
