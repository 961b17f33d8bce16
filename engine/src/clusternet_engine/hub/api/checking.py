"""Checks objects before they are kept: by a dry run on the parent, where the hub may do one (spec/04 §8.3)."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson

from clusternet_engine.answers import refuse
from clusternet_engine.hub.api.schemas import Schemas
from clusternet_engine.hub.api.store import parsed
from clusternet_engine.kube.client import Client
from clusternet_engine.kube.errors import AlreadyExists, ApiError, Forbidden, NotFound
from clusternet_engine.kube.resources import CUSTOM_RESOURCE_DEFINITIONS, Object, Resource
from clusternet_engine.model import constants as names
from clusternet_engine.model.names import LABEL_LIMIT
from clusternet_engine.model.shadow import checked_object, covers, dry_run_object, skips_validation, template_of

STRICT, WARN, IGNORE = "Strict", "Warn", "Ignore"
ATTEMPTS = 5
"""Names a dry run tries, when objects of these names are there already."""

_DEFINITIONS = (CUSTOM_RESOURCE_DEFINITIONS.group, CUSTOM_RESOURCE_DEFINITIONS.plural)
_HUB_MAY_NOT = re.compile(r"cannot create resource|attempting to grant RBAC permissions|user .* cannot bind")


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
        """Return an object as the parent would have stored it: with defaults and after admission.

        Raises:
            ApiError: the parent refuses it.
        """
        template = template_of(obj)
        if skips_validation(obj):
            return Checked(template)
        if (resource.group, resource.plural) == _DEFINITIONS and (like := await self._like_live(template, resource)):
            return like
        try:
            return await self._dry_run(template, resource, query)
        except Forbidden as error:
            if not _HUB_MAY_NOT.search(error.message):
                raise
            return await self._check_alone(template, resource, query)

    async def _dry_run(self, obj: Object, resource: Resource, query: Mapping[str, str]) -> Checked:
        name = obj["metadata"]["name"]
        path = resource.path(self._namespace if resource.namespaced else None)
        params = {key: query[key] for key in ("fieldManager", "fieldValidation") if query.get(key)}
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
            return Checked(checked_object(answer, obj), warnings)
        raise refuse(409, f'no free name to try "{name}" out in the namespace {self._namespace}')

    async def _like_live(self, obj: Object, resource: Resource) -> Checked | None:
        """Return a definition of a custom resource with the defaults of the parent's own, if that is alike.

        It can be tried out under no other name than that one's.
        """
        try:
            live = await self._client.get(resource, obj["metadata"]["name"])
        except NotFound:
            return None
        return Checked({**obj, "spec": live["spec"]}) if covers(live["spec"], obj.get("spec")) else None

    async def _check_alone(self, obj: Object, resource: Resource, query: Mapping[str, str]) -> Checked:
        """Check an object by its schema only."""
        mode = query.get("fieldValidation") or WARN
        problems = await self._schemas.problems(obj, resource)
        if problems.errors:
            name = obj["metadata"]["name"]
            raise refuse(422, f'{resource.kind} "{name}" is invalid: {"; ".join(problems.errors)}')
        if problems.unknown and mode == STRICT:
            raise refuse(400, f"strict decoding error: {', '.join(problems.unknown)}")
        warnings = list(problems.unknown) if mode == WARN else []
        warnings.append(f"{resource.kind} is stored after a look at its schema only: the hub may not try it out")
        return Checked(obj, warnings)


def _another(name: str) -> str:
    """Return a name beside which an object of this name may be tried out; not longer than any kind allows."""
    letters = "".join(random.choices(names.RANDOM_ALPHABET, k=3))  # noqa: S311
    return f"{name[: LABEL_LIMIT - 3]}{letters}"
