# Copyright: (c) 2026, The clusternet.core authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The only place from which modules write objects: apply, create, patch and delete, for real or as a dry run."""

from __future__ import annotations

from typing import Any, Mapping, NamedTuple, Optional

from ansible_collections.clusternet.core.plugins.module_utils import constants
from ansible_collections.clusternet.core.plugins.module_utils.applied import is_applied
from ansible_collections.clusternet.core.plugins.module_utils.client import Client
from ansible_collections.clusternet.core.plugins.module_utils.errors import ApiError
from ansible_collections.clusternet.core.plugins.module_utils.redact import SERVER_METADATA, Redactor
from ansible_collections.clusternet.core.plugins.module_utils.resources import Resource

CREATED, UPDATED, DELETED, UNCHANGED = "created", "updated", "deleted", "unchanged"

_APPLY = "application/apply-patch+yaml"  # JSON is YAML
_MERGE = "application/merge-patch+json"


class Outcome(NamedTuple):
    """What became of one object: the action and the object before and after.

    C(predicted) means that a dry run could not ask the server, because the namespace or the kind doesn't exist yet.
    """

    action: str
    before: Optional[dict[str, Any]]
    after: Optional[dict[str, Any]]
    predicted: bool = False

    @property
    def changed(self) -> bool:
        """Whether the object is another one than before."""
        return self.action != UNCHANGED


class Reconciler:
    """Brings single objects to the wanted state over one connection; with I(check_mode) only as dry runs.

    With I(show_values), diffs show the values of overrides.
    """

    def __init__(self, client: Client, check_mode: bool, show_values: bool = False):
        self.client = client
        self.check_mode = check_mode
        self.redactor = Redactor(show_values=show_values)
        self.diffs: list[dict[str, Any]] = []

    def apply(self, resource: Resource, desired: dict[str, Any]) -> Outcome:
        """Server-side apply of I(desired): one GET when nothing is to do, else a GET and a PATCH.

        Fields that others have set to other values are taken over. Unknown fields are an error (ApiError).
        """
        path = resource.path_of(desired)
        before = self.client.get(path)
        if before is not None and is_applied(desired, before, constants.FIELD_MANAGER):
            return Outcome(UNCHANGED, before, before)
        query = {"fieldManager": constants.FIELD_MANAGER, "force": "true"}
        return self._write(resource, before, "PATCH", path, query, desired, _APPLY)

    def create(self, resource: Resource, desired: dict[str, Any]) -> Outcome:
        """POST of I(desired), which must not exist (ApiError 409)."""
        path = resource.path(namespace=desired["metadata"].get("namespace"))
        query = {"fieldManager": constants.FIELD_MANAGER}
        return self._write(resource, None, "POST", path, query, desired, "application/json")

    def patch(self, resource: Resource, before: dict[str, Any], patch: Mapping[str, Any]) -> Outcome:
        """Merge patch of an object that was just read; nothing is sent when I(patch) is empty."""
        if not patch:
            return Outcome(UNCHANGED, before, before)
        query = {"fieldManager": constants.FIELD_MANAGER}
        return self._write(resource, before, "PATCH", resource.path_of(before), query, dict(patch), _MERGE)

    def patch_status(self, resource: Resource, before: dict[str, Any], status: Mapping[str, Any]) -> Outcome:
        """Merge patch of the status of an object that was just read; the diff shows the fields of I(status)."""
        if not status:
            return Outcome(UNCHANGED, before, before)
        query = self._dry_run({"fieldManager": constants.FIELD_MANAGER})
        path = f"{resource.path_of(before)}/status"
        after = self.client.request("PATCH", path, query, {"status": dict(status)}, _MERGE)
        self._note(resource, Outcome(UPDATED, before, after))
        for side, obj in (("before", before), ("after", after)):
            shown = {key: (obj.get("status") or {}).get(key) for key in status}
            kind = {"kind": resource.kind, "status": shown}
            self.diffs[-1][side] = {"status": self.redactor.hide(kind)["status"]}
        return Outcome(UPDATED, before, after)

    def replace(self, resource: Resource, before: dict[str, Any], desired: dict[str, Any]) -> Outcome:
        """PUT of I(desired) in the place of an object that was just read, whoever has changed it since."""
        query = {"fieldManager": constants.FIELD_MANAGER}
        return self._write(resource, before, "PUT", resource.path_of(before), query, desired, "application/json")

    def delete(self, resource: Resource, before: Optional[dict[str, Any]]) -> Outcome:
        """DELETE of an object that was just read, if it is still the same one; not when it is gone or going already."""
        if before is None or before["metadata"].get("deletionTimestamp"):
            return Outcome(UNCHANGED, before, before)
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Background",
            "preconditions": {"uid": before["metadata"]["uid"]},
        }
        if self.check_mode:
            options["dryRun"] = ["All"]  # the server doesn't look at the query when there is a body
        try:
            self.client.request("DELETE", resource.path_of(before), self._dry_run({}), options)
        except ApiError as error:
            if error.status != 404:
                raise
        return self._note(resource, Outcome(DELETED, before, None))

    def predict(self, resource: Resource, before: Optional[dict[str, Any]], after: Optional[dict[str, Any]]) -> Outcome:
        """What a write would do, without asking a server that doesn't know dry runs."""
        if before is None:
            return self._note(resource, Outcome(CREATED, None, after, predicted=True))
        if after is None:
            return self._note(resource, Outcome(DELETED, before, None, predicted=True))
        action = UNCHANGED if _content(before) == _content(after) else UPDATED
        return self._note(resource, Outcome(action, before, after, predicted=True))

    def _write(
        self,
        resource: Resource,
        before: Optional[dict[str, Any]],
        method: str,
        path: str,
        query: dict[str, str],
        body: dict[str, Any],
        content_type: str,
    ) -> Outcome:
        query = self._dry_run({**query, "fieldValidation": "Strict"})
        try:
            after = self.client.request(method, path, query, body, content_type)
        except ApiError as error:
            if self.check_mode and before is None and error.status == 404:
                return self._note(resource, Outcome(CREATED, None, body, predicted=True))
            raise
        if before is None:
            return self._note(resource, Outcome(CREATED, None, after))
        return self._note(
            resource, Outcome(UNCHANGED if _content(before) == _content(after) else UPDATED, before, after)
        )

    def _dry_run(self, query: dict[str, str]) -> dict[str, str]:
        return {**query, "dryRun": "All"} if self.check_mode else query

    def _note(self, resource: Resource, outcome: Outcome) -> Outcome:
        """Keep the diff of a change."""
        if outcome.changed:
            metadata = (outcome.after or outcome.before or {})["metadata"]
            header = "/".join(text for text in (resource.kind, metadata.get("namespace"), metadata["name"]) if text)
            self.diffs.append(
                {
                    "before_header": header,
                    "after_header": header,
                    "before": self._shown(resource, outcome.before),
                    "after": self._shown(resource, outcome.after),
                }
            )
        return outcome

    def _shown(self, resource: Resource, obj: Optional[dict[str, Any]]) -> dict[str, Any]:
        """What the diff shows of I(obj), which bears no kind when it comes from a list."""
        if obj is None:
            return {}
        return self.redactor.visible({"apiVersion": resource.api_version, "kind": resource.kind, **obj})


def _content(obj: Mapping[str, Any]) -> dict[str, Any]:
    """What makes an object the one it is: all but its status and the metadata that the server counts up."""
    content = {key: value for key, value in obj.items() if key not in ("apiVersion", "kind", "metadata", "status")}
    content["metadata"] = {key: value for key, value in obj["metadata"].items() if key not in SERVER_METADATA}
    return content
