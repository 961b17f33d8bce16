"""Checks objects before they are kept: by a dry run on the parent, as far as the parent can judge.

The parent says whether an object is well-formed. What it would fill in isn't kept, since its defaults, its admission
plugins and its webhooks are those of another cluster than the objects are for. Where it refuses an object for a reason
that may not hold on a child (something that isn't there, a quota, a policy), or the hub may not ask, the object is
looked at by its schema only, and a warning says so.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson

from clusternet_engine.answers import refuse
from clusternet_engine.hub.api.schemas import Schemas
from clusternet_engine.hub.api.store import parsed
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.errors import AlreadyExists, ApiError, NotFound
from clusternet_engine.kube.resources import CUSTOM_RESOURCE_DEFINITIONS, Object, Resource
from clusternet_engine.model import constants as names
from clusternet_engine.model.names import LABEL_LIMIT
from clusternet_engine.model.schemas import without_unknown
from clusternet_engine.model.shadow import (
    covers,
    dry_run_object,
    published_object,
    skips_validation,
    template_of,
    trimmed,
)
from clusternet_engine.model.verdicts import judges_the_object

STRICT, WARN, IGNORE = "Strict", "Warn", "Ignore"
ATTEMPTS = 5
"""Names a dry run tries, when objects of these names are there already."""

_DEFINITIONS = (CUSTOM_RESOURCE_DEFINITIONS.group, CUSTOM_RESOURCE_DEFINITIONS.plural)
_UNKNOWN_FIELD = 'unknown field "'
"""Part of the warning by which API servers say that they would drop a field."""


@dataclass(slots=True)
class Checked:
    """An object ready to be kept, and what its sender should know."""

    object: Object
    warnings: list[str] = field(default_factory=list)


class Checker:
    """Lets the parent judge objects.

    Args:
        client: of the parent cluster, as the hub itself.
        schemas: of the parent's resources.
        namespace: the reserved namespace, where dry runs of namespaced objects take place.
    """

    def __init__(self, client: Client, schemas: Schemas, namespace: str) -> None:
        self._client = client
        self._schemas = schemas
        self._namespace = namespace

    async def check(self, obj: Object, resource: Resource, query: Mapping[str, str]) -> Checked:
        """Return an object as it is kept: as it was sent, if it can be one.

        Raises:
            ApiError: it can't, or the parent doesn't answer.
        """
        template = template_of(obj)
        if skips_validation(obj):
            return Checked(template)
        if (resource.group, resource.plural) == _DEFINITIONS and (live := await self._live(template, resource)):
            # It can be tried out under no other name than that one's.
            if covers(live["spec"], template.get("spec")):
                return Checked(template)
            return await self._check_alone(template, resource, query, "it has another definition of this name")
        try:
            return await self._dry_run(template, resource, query)
        except ApiError as error:
            if judges_the_object(error.status, error.message, error.details):
                raise
            return await self._check_alone(template, resource, query, error.message)

    async def _dry_run(self, obj: Object, resource: Resource, query: Mapping[str, str]) -> Checked:
        name = obj["metadata"]["name"]
        path = resource.path(self._namespace if resource.namespaced else None)
        params = {"fieldManager": query["fieldManager"]} if query.get("fieldManager") else {}
        strict = query.get("fieldValidation") == STRICT
        params["fieldValidation"] = STRICT if strict else WARN
        for attempt in range(ATTEMPTS):
            tried = name if attempt == 0 else _another(name)
            body = orjson.dumps(dry_run_object(obj, self._namespace, tried))
            response = await self._client.raw("POST", path, params={**params, "dryRun": "All"}, body=body)
            try:
                answer = parsed("POST", path, response)
            except AlreadyExists:
                continue
            except ApiError as error:
                error.message = error.message.replace(tried, name) if tried != name else error.message
                raise
            warnings = [value for key, value in response.headers.items() if key.lower() == "warning"]
            kept = published_object(obj, answer)
            if unknown := [text for text in warnings if _UNKNOWN_FIELD in text.replace("\\", "")]:
                kept = await self._known(kept, resource)
                if query.get("fieldValidation") == IGNORE:
                    warnings = [text for text in warnings if text not in unknown]
            return Checked(kept, warnings)
        return await self._check_alone(obj, resource, query, f"all names for it in {self._namespace} are taken")

    async def _live(self, obj: Object, resource: Resource) -> Object | None:
        """Return the parent's own object of that name; None if there is none."""
        try:
            return await self._client.get(resource, obj["metadata"]["name"])
        except NotFound:
            return None

    async def _known(self, obj: Object, resource: Resource) -> Object:
        """Return an object without the fields that API servers drop as they read it."""
        schema = await self._schemas.of(resource)
        return obj if schema is None else without_unknown(schema, obj)

    async def _check_alone(self, obj: Object, resource: Resource, query: Mapping[str, str], why: str) -> Checked:
        """Check an object by its schema only.

        Args:
            obj: the object.
            resource: its kind.
            query: of the request.
            why: the parent can't judge it.
        """
        mode = query.get("fieldValidation") or WARN
        problems = await self._schemas.problems(obj, resource)
        if problems.errors:
            name = obj["metadata"]["name"]
            raise refuse(422, f'{resource.kind} "{name}" is invalid: {"; ".join(problems.errors)}')
        if problems.unknown and mode == STRICT:
            raise refuse(400, f"strict decoding error: {', '.join(problems.unknown)}")
        warnings = list(problems.unknown) if mode == WARN else []
        warnings.append(
            f"{resource.kind} {obj['metadata']['name']} is kept after a look at its schema only, because the parent "
            f"can't try it out: {why}"
        )
        kept = trimmed(obj)
        return Checked(await self._known(kept, resource) if problems.unknown else kept, warnings)


def _another(name: str) -> str:
    """Return a name beside which an object of this name may be tried out; not longer than any kind allows."""
    letters = "".join(random.choices(names.RANDOM_ALPHABET, k=3))  # noqa: S311
    return f"{name[: LABEL_LIMIT - 3]}{letters}"
