"""Named forms of texts in rules: ``format.dns1123Label().validate(self.name)``."""

import re
from base64 import b64decode
from collections.abc import Callable
from datetime import date, datetime
from typing import Any
from urllib.parse import urlsplit

from deltawire.apiserver.rules import forms

NAME = "kubernetes.NamedFormat"
_Value = dict[str, Any]
_Check = Callable[[str], list[str]]
_UUID = re.compile(r"(?i)[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}")
_TIME = re.compile(r"(?i)\d{4}-\d{2}-\d{2}[t ]\d{2}:\d{2}:\d{2}(\.\d+)?(z|[+-]\d{2}:\d{2})?")


def _as_prefix(check: _Check) -> _Check:
    """Something comes behind it: a dash at its end may stay."""

    def checked(text: str) -> list[str]:
        return check(text[:-2] + "a" if len(text) > 1 and text.endswith("-") else text)

    return checked


def _is(fits: Callable[[str], Any], told: str) -> _Check:
    def checked(text: str) -> list[str]:
        try:
            return [] if fits(text) else [told]
        except ValueError:
            return [told]

    return checked


def _uri(text: str) -> list[str]:
    if not text:
        return [f'parse "{text}": empty url']
    parts = urlsplit(text)
    if not parts.scheme and not text.startswith("/"):
        return [f'parse "{text}": invalid URI for request']
    return []


def _is_time(text: str) -> bool:
    return _TIME.fullmatch(text) is not None and bool(datetime.fromisoformat(text))


def _is_base64(text: str) -> bool:
    b64decode(text, validate=True)
    return bool(text)


FORMS: dict[str, _Check] = {
    "dns1123Label": forms.label,
    "dns1123Subdomain": forms.subdomain,
    "dns1035Label": forms.label_1035,
    "qualifiedName": forms.label_key,
    "dns1123LabelPrefix": _as_prefix(forms.label),
    "dns1123SubdomainPrefix": _as_prefix(forms.subdomain),
    "dns1035LabelPrefix": _as_prefix(forms.label_1035),
    "labelValue": forms.label_value,
    "uri": _uri,
    "uuid": _is(_UUID.fullmatch, "does not match the UUID format"),
    "byte": _is(_is_base64, "invalid base64"),
    "date": _is(lambda text: len(text) == 10 and date.fromisoformat(text), "invalid date"),
    "datetime": _is(_is_time, "invalid datetime"),
}


def _made(name: str) -> _Value:
    return {"@type": NAME, "value": name}


def _named(name: str) -> list[_Value]:
    """A list of at most one: `metering` makes an optional value of it."""
    return [_made(name)] if name in FORMS else []


def _validated(form: _Value, text: str) -> list[list[str]]:
    """What is wrong with a text; as for `_named`."""
    wrong = FORMS[form["value"]](text)
    return [wrong] if wrong else []


# What they give is not looked at when expressions are checked: the library has no type for it.
FUNCTIONS: tuple[tuple[Any, ...], ...] = (
    *((f"format.{name}", (), NAME, lambda name=name: _made(name), False) for name in FORMS),
    ("format.named", ("string",), "dyn", _named, False),
    ("validate", (NAME, "string"), "dyn", _validated, True),
)
