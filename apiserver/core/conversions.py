"""Custom objects in several versions between which a webhook converts.

The core cannot wait for a webhook. What is not converted yet is asked for by `NeedsConversion`: whoever can wait has
it converted (`Converter.remember`), and tries again.
"""

from collections import OrderedDict
from typing import Any

import msgspec

from deltawire.apiserver.core.resource import Conversion
from deltawire.common.meta.resources import ResourceType

Tree = dict[str, Any]

# Conversions that are kept, by definition: the objects of a page that is read again are not converted again.
REMEMBERED_MAX = 10_000
# What conversion may change of metadata.
_OF_METADATA = ("labels", "annotations")


class NeedsConversion(Exception):
    """``objects`` are wanted in ``api_version``."""

    def __init__(self, converter: "Converter", objects: list[Tree], api_version: str) -> None:
        super().__init__(api_version)
        self.converter = converter
        self.objects = objects
        self.api_version = api_version


class Converter:
    """The webhook of one definition, as ``config`` (``spec.conversion.webhook``) says, and what it has answered."""

    def __init__(self, config: Tree, kind: str) -> None:
        self.config = config
        self.kind = kind
        self._known: OrderedDict[bytes, Tree] = OrderedDict()

    def between(self, stored: ResourceType, api_version: str) -> Conversion:
        """How the version of ``api_version`` is stored as ``stored``."""
        return Conversion(
            stored,
            to_stored=lambda tree: self.converted(tree, stored.api_version, api_version),
            to_served=lambda tree: self.converted(tree, api_version, stored.api_version),
            converter=self,
        )

    def converted(self, tree: Tree, wanted: str, given: str) -> Tree:
        """Raises NeedsConversion where the webhook has not been asked yet."""
        found = self._known.get(_key({**tree, "apiVersion": given}, wanted))
        if found is None:
            raise NeedsConversion(self, [{**tree, "kind": self.kind, "apiVersion": given}], wanted)
        metadata = dict(tree["metadata"])
        for name in _OF_METADATA:
            metadata.pop(name, None)
            if found["metadata"].get(name):
                metadata[name] = found["metadata"][name]
        return {**found, "metadata": metadata}

    def is_known(self, tree: Tree, wanted: str) -> bool:
        return _key(tree, wanted) in self._known

    def remember(self, given: Tree, converted: Tree) -> None:
        """What the webhook has made of ``given``."""
        self._known[_key(given, str(converted.get("apiVersion", "")))] = converted
        while len(self._known) > REMEMBERED_MAX:
            self._known.popitem(last=False)


def _key(tree: Tree, wanted: str) -> bytes:
    """An object without what conversion does not look at: the same content converts to the same."""
    metadata = tree.get("metadata") or {}
    content = {name: value for name, value in tree.items() if name not in ("metadata", "kind")}
    about = {name: metadata.get(name) for name in ("name", "namespace", *_OF_METADATA)}
    return msgspec.json.encode((wanted, about, content), order="sorted")
