"""Classes of objects: which resource a class stands for, and what is said where an object does not fit it.

A class is a `msgspec.Struct`: one of the built-in kinds (``from lightkube.models.core_v1 import Pod``), or one's own
with ``resource = "websites.example.com"`` as a class variable.

Not here: writing classes for custom resources (``deltawire models``).
"""

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import msgspec

from deltawire.client.rest.decode import decoder_of
from deltawire.common.errors import ConfigError, PluginError
from deltawire.handlers.signatures import place_of

RESOURCE = "resource"
_decode = msgspec.json.Decoder().decode


@cache
def resource_of(model: Any) -> str:
    """The name of a class' resource. Raises PluginError for what stands for none."""
    named = getattr(model, RESOURCE, None)
    if isinstance(named, str):
        return named
    if isinstance(model, type) and issubclass(model, msgspec.Struct):
        from deltawire.client.typed.table import row_of

        try:
            return row_of(model).resource.name
        except ConfigError:
            pass
    raise PluginError(
        f"{getattr(model, '__name__', model)!s} stands for no resource",
        hint="a class of a built-in kind, or a msgspec.Struct with resource: ClassVar[str] = 'plural.group'",
    )


def decode_as(model: Any, body: bytes, *, function: Callable[..., Any] | None = None) -> Any:
    """An object of class ``model`` from its JSON, for ``function``. Raises DecodeFailed, which names the field."""
    try:
        return decoder_of(model)(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        who = (
            f" ({place_of(function)}: let the class allow it, or take a dict)" if function is not None else ""
        )
        raise DecodeFailed(f"the object is no {model.__name__}: {error}{who}") from None


def reader_of(model: Any, function: Callable[..., Any], *, raw: bool) -> Callable[[bytes], Any]:
    """What makes of an object's JSON what ``function`` gets: its bytes, an object of a class, or a dict."""
    if raw:
        return bytes
    return _decode if model is None else partial(decode_as, model, function=function)


class DecodeFailed(Exception):
    """An object does not fit the class that the function asks for: trying again cannot help."""
