"""May they: the parent decides on every request, by SubjectAccessReview."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict

from clusternet_engine.answers import refuse
from clusternet_engine.hub.api.authentication import User
from clusternet_engine.hub.api.requests import RequestInfo
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.resources import SUBJECT_ACCESS_REVIEWS, Object
from clusternet_engine.model.proxying import without_credentials

ALLOWED_SECONDS = 10.0
"""How long a yes is remembered; as long as Kubernetes' own aggregated API servers do."""
DENIED_SECONDS = 2.0
"""How long a no is remembered; short, for somebody who has just been given the right."""
REMEMBERED = 4096
MASTERS = "system:masters"
"""May do everything, without a question, as on every API server."""

log = logging.getLogger(__name__)

_Key = tuple[object, ...]


class Authorizer:
    """Asks the parent whether a user may do what they ask for, and remembers the answer for a moment.

    Args:
        client: of the parent cluster.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._remembered: OrderedDict[_Key, tuple[float, bool, str]] = OrderedDict()

    async def check(self, user: User, info: RequestInfo) -> None:
        """Return if the user may do it.

        Raises:
            ApiError: 403 if not, or why the parent could not be asked.
            ConnectionFailed: the parent can't be reached.
        """
        if MASTERS in user.groups:
            return
        key = _key(user, info)
        now = time.monotonic()
        remembered = self._remembered.get(key)
        if remembered is None or remembered[0] <= now:
            allowed, reason = await self._ask(user, info)
            remembered = now + (ALLOWED_SECONDS if allowed else DENIED_SECONDS), allowed, reason
            self._remembered[key] = remembered
            self._remembered.move_to_end(key)
            while len(self._remembered) > REMEMBERED:
                self._remembered.popitem(last=False)
        _, allowed, reason = remembered
        if not allowed:
            log.warning("denied: %s", forbidden_message(user, info, ""))
            details = {"name": info.name, "group": info.group, "kind": info.resource}
            raise refuse(403, forbidden_message(user, info, reason), details={k: v for k, v in details.items() if v})

    async def _ask(self, user: User, info: RequestInfo) -> tuple[bool, str]:
        review = await self._client.create(SUBJECT_ACCESS_REVIEWS, access_review(user, info))
        status = review["status"]
        return bool(status.get("allowed")), str(status.get("reason") or status.get("evaluationError") or "")


def access_review(user: User, info: RequestInfo) -> Object:
    """Return the question whether a user may do what a request asks for."""
    spec: Object = {"user": user.name, "groups": list(user.groups)}
    if user.uid:
        spec["uid"] = user.uid
    if extra := without_credentials(user.extra):
        spec["extra"] = {key: list(values) for key, values in extra.items()}
    if info.resource:
        attributes = {
            "verb": info.verb,
            "group": info.group,
            "version": info.version,
            "resource": info.resource,
            "subresource": info.subresource,
            "namespace": info.namespace,
            "name": info.name,
        }
        spec["resourceAttributes"] = {key: value for key, value in attributes.items() if value}
    else:
        spec["nonResourceAttributes"] = {"verb": info.verb, "path": info.path}
    return {
        "apiVersion": SUBJECT_ACCESS_REVIEWS.api_version,
        "kind": SUBJECT_ACCESS_REVIEWS.kind,
        "metadata": {},
        "spec": spec,
    }


def forbidden_message(user: User, info: RequestInfo, reason: str) -> str:
    """Return the message of a refusal, in the words of API servers."""
    if not info.resource:
        message = f'forbidden: User "{user.name}" cannot {info.verb} path "{info.path}"'
    else:
        resource = f"{info.resource}/{info.subresource}" if info.subresource else info.resource
        subject = f'{info.resource}.{info.group} "{info.name}"' if info.name else f"{info.resource}.{info.group}"
        scope = f'in the namespace "{info.namespace}"' if info.namespace else "at the cluster scope"
        message = (
            f'{subject} is forbidden: User "{user.name}" cannot {info.verb} resource "{resource}"'
            f' in API group "{info.group}" {scope}'
        )
    return f"{message}: {reason}" if reason else message


def _key(user: User, info: RequestInfo) -> _Key:
    extra = tuple(sorted(without_credentials(user.extra).items()))
    path = "" if info.resource else info.path
    attributes = (info.verb, info.group, info.version, info.namespace, info.resource, info.name, info.subresource, path)
    return user.name, user.uid, user.groups, extra, *attributes
