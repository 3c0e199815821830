"""Faults as a user writes them: ``error=403,resource=pods,lasts_s=5``."""

from typing import Any

from deltawire.apiserver.faults.fault import Fault, check
from deltawire.common.errors import ConfigError, StatusError

_NUMBERS = {"count": int, "share": float, "lasts_s": float}
_TEXTS = ("resource", "verb", "path", "user", "reason", "message")


def parse_fault(text: str) -> Fault:
    """``KIND[=VALUE]``, then ``NAME=VALUE`` for what narrows it down, joined by commas. Raises ConfigError."""
    first, *others = text.split(",")
    kind, _, value = first.partition("=")
    given: dict[str, Any] = {"kind": kind.strip()}
    try:
        if value:
            given["value"] = float(value)
        for other in others:
            name, _, value = other.partition("=")
            name = name.strip()
            if name in _NUMBERS:
                given[name] = _NUMBERS[name](value)
            elif name in _TEXTS:
                given[name] = value.strip()
            else:
                known = ", ".join([*_NUMBERS, *_TEXTS])
                raise ConfigError(f"{text!r}: unknown {name!r}: one of {known}", path="fault", hint=_HINT)
        fault = Fault(**given)
        check(fault)
    except StatusError as error:
        raise ConfigError(f"{text!r}: {error.message}", path="fault", hint=_HINT) from None
    except ValueError:
        raise ConfigError(f"{text!r}: {value!r} is not a number", path="fault", hint=_HINT) from None
    return fault


_HINT = "as in error=403,resource=pods,lasts_s=5"
