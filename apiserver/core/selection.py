"""Which objects a list or watch is about: a namespace, a name, labels, fields."""

from dataclasses import dataclass, field

from deltawire.apiserver.core.failures import bad_request
from deltawire.apiserver.core.record import Record
from deltawire.apiserver.core.resource import Resource
from deltawire.common.meta.selectors import (
    FieldSelector,
    LabelSelector,
    parse_field_selector,
    parse_label_selector,
)

_METADATA_FIELDS = ("metadata.name", "metadata.namespace")


@dataclass(frozen=True, slots=True)
class Selection:
    """Empty parts select everything."""

    namespace: str = ""
    name: str = ""
    labels: LabelSelector = field(default=LabelSelector())
    fields: FieldSelector = field(default=FieldSelector())

    def matches(self, record: Record) -> bool:
        if self.namespace and record.namespace != self.namespace:
            return False
        if self.name and record.name != self.name:
            return False
        if not self.labels.is_everything and not self.labels.matches(record.labels):
            return False
        if self.fields.is_everything:
            return True
        metadata = {"metadata.name": record.name, "metadata.namespace": record.namespace}
        return self.fields.matches(record.fields | metadata)

    @property
    def is_everything(self) -> bool:
        return not self.namespace and not self.has_selectors

    @property
    def has_selectors(self) -> bool:
        return bool(self.name) or not (self.labels.is_everything and self.fields.is_everything)


def parse_selection(
    resource: Resource, namespace: str, labels: str = "", fields: str = "", name: str = ""
) -> Selection:
    """A selection from the two selectors' text. Raises StatusError 400 for what cannot be parsed or asked."""
    try:
        by_label = parse_label_selector(labels)
    except ValueError as error:
        raise bad_request(f"unable to parse requirement: {error}") from None
    try:
        by_field = parse_field_selector(fields)
    except ValueError:
        raise bad_request(f"invalid selector: '{fields}'; can't understand '{fields}'") from None
    names = resource.field_names or dict.fromkeys(resource.fields)
    for path in by_field.paths:
        if path in names or path in _METADATA_FIELDS:
            continue
        # Kinds without fields of their own say it in other words.
        if names or resource.is_custom:
            raise bad_request(f"field label not supported: {path}")
        raise bad_request(
            f'"{path}" is not a known field selector: only "metadata.name", "metadata.namespace"'
        )
    if resource.field_names:
        by_field = by_field.renamed(resource.field_names)
    return Selection(namespace, name, by_label, by_field)
