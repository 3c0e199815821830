"""What an ordinary call brought back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, overload

import msgspec

from deltawire.client.rest.decode import decoder_of
from deltawire.client.rest.failures import status_of
from deltawire.common.errors import TransportError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Result:
    """A successful answer: ``raw`` is the body as received, ``attempts`` counts the requests it took."""

    status_code: int
    headers: Mapping[str, str]
    raw: bytes
    attempts: int = 1

    @overload
    def into(self) -> Any: ...

    @overload
    def into(self, type: type[T]) -> T: ...

    def into(self, type: Any = Any) -> Any:
        """The body decoded as ``type``; without one, as dicts and lists.

        Required fields that are missing or null are zero values, as in Go (client/rest/decode).
        Raises StatusError for a Status of failure in a successful answer, TransportError
        (``garbage``) for an empty body, or one that is not JSON or not of that type.
        """
        if not self.raw:
            raise TransportError(
                f"the server answered {self.status_code} with an empty body", reason="garbage"
            )
        if b'"Status"' in self.raw:
            failure = status_of(self.raw)
            if failure is not None:
                raise failure
        try:
            return decoder_of(type)(self.raw)
        except (msgspec.DecodeError, UnicodeDecodeError) as exc:
            raise TransportError(f"the server's answer cannot be read: {exc}", reason="garbage") from None
