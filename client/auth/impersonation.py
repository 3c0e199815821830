"""The headers of impersonation: the server treats the request as another user's."""

from deltawire.client.config.identity import Impersonation

# What HTTP allows in a header's name besides letters and digits; "%" is left out, since it marks an escape.
_NAME_CHARACTERS = frozenset("!#$&'*+-.^_`|~")


def headers_of(impersonate: Impersonation) -> tuple[tuple[str, str], ...]:
    """Name and value of each header; names may come again. Empty without a user to act as."""
    if not impersonate.user:
        return ()
    found = [("Impersonate-User", impersonate.user)]
    if impersonate.uid:
        found.append(("Impersonate-Uid", impersonate.uid))
    found += [("Impersonate-Group", group) for group in impersonate.groups]
    found += [
        (f"Impersonate-Extra-{escaped(key)}", value) for key, values in impersonate.extra for value in values
    ]
    # http.client writes text as Latin-1: this way the bytes on the wire are UTF-8, which servers expect.
    return tuple((name, value.encode().decode("latin-1")) for name, value in found)


def escaped(key: str) -> str:
    """``key`` as a part of a header's name: each byte that is not allowed there as %XX."""
    return "".join(
        char if char.isascii() and (char.isalnum() or char in _NAME_CHARACTERS) else _percent(char)
        for char in key
    )


def _percent(char: str) -> str:
    return "".join(f"%{byte:02X}" for byte in char.encode())
