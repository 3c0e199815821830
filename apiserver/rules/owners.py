"""Rules of ownerReferences."""

from typing import Any

from deltawire.apiserver.rules.causes import Causes, Tree, cause, invalid, shown

_FIELD = "metadata.ownerReferences"
_NEVER_OWNS = ("v1", "Event")


def owners(references: list[Any]) -> Causes:
    controllers = []
    for reference in references:
        for name in ("apiVersion", "kind", "name", "uid"):
            if not reference.get(name):
                told = "version must not be empty" if name == "apiVersion" else "must not be empty"
                yield invalid(f"{_FIELD}.{name}", "", told)
        if (reference.get("apiVersion"), reference.get("kind")) == _NEVER_OWNS:
            yield invalid(_FIELD, _shown(reference), "/v1, Kind=Event is disallowed from being an owner")
        if reference.get("controller"):
            controllers.append(f"{reference.get('kind')}/{reference.get('name')}")
    if len(controllers) > 1:
        told = (
            'Only one reference can have Controller set to true. Found "true" in references for '
            f"{controllers[0]} and {controllers[1]}"
        )
        listed = shown([_shown(reference) for reference in references])
        yield cause(_FIELD, f"Invalid value: {listed}: {told}", "FieldValueInvalid")


def _shown(reference: Tree) -> Tree:
    """A reference as Go writes it."""
    names = ("apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion")
    return {name: reference[name] for name in names if name in reference}
