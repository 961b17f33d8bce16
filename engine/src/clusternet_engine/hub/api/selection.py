"""Which Manifests a list or a watch means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from clusternet_engine.answers import refuse
from clusternet_engine.kube.resources import Object, Resource
from clusternet_engine.model import constants as names
from clusternet_engine.model.labels import label_form
from clusternet_engine.model.selectors import Selector, parse_selector

_FIELDS: Mapping[str, str] = {
    "metadata.name": names.CONFIG_NAME_LABEL,
    "metadata.namespace": names.CONFIG_NAMESPACE_LABEL,
}


@dataclass(frozen=True, slots=True)
class Selection:
    """A label selector of Manifests, as text and parsed; the labels of the objects in them are among theirs.

    Attributes:
        text: of the label selector.
        selector: the same.
        names: of the objects that are meant, each with the operator before it: labels may hold digests of them.
    """

    text: str
    selector: Selector
    names: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, query: Mapping[str, str], resource: Resource, namespace: str | None) -> Selection:
        """Return the selection that a request means.

        Raises:
            ApiError: 400 if a selector is malformed, or one of fields that can't be selected by.
        """
        terms = [
            f"{names.CONFIG_KIND_LABEL}={resource.kind}",
            f"{names.CONFIG_GROUP_LABEL}={label_form(resource.group)}",
        ]
        chosen = []
        if namespace is not None:
            terms.append(f"{names.CONFIG_NAMESPACE_LABEL}={namespace}")
        for term in filter(None, query.get("fieldSelector", "").split(",")):
            field, operator, value = _split(term)
            if field not in _FIELDS:
                known = ", ".join(_FIELDS)
                raise refuse(400, f"field label not supported: {field}; known are {known}")
            terms.append(f"{_FIELDS[field]}{operator}{label_form(value)}")
            if field == "metadata.name":
                chosen.append((operator, value))
        if query.get("labelSelector"):
            terms.append(query["labelSelector"])
        text = ",".join(terms)
        try:
            return cls(text, parse_selector(text), tuple(chosen))
        except ValueError as error:
            raise refuse(400, f"unable to parse the selector: {error}") from None

    def selects(self, manifest: Object) -> bool:
        """Return whether a Manifest is meant."""
        return self.selector.matches(manifest["metadata"].get("labels")) and self.names_it(manifest)

    def names_it(self, manifest: Object) -> bool:
        """Return whether a Manifest that the labels select has an object of a name that is meant."""
        name = (manifest["template"].get("metadata") or {}).get("name")
        return all((name == value) is (operator != "!=") for operator, value in self.names)


def _split(term: str) -> tuple[str, str, str]:
    for operator in ("!=", "==", "="):
        field, found, value = term.partition(operator)
        if found:
            return field, operator, value
    raise refuse(400, f"invalid selector: {term!r} is not of the form field=value")
