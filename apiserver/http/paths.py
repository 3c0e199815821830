"""The URL paths of resources, taken apart."""

from dataclasses import dataclass
from urllib.parse import unquote

PROXY = "proxy"
# Parts of a namespace object itself; every other word after /namespaces/NAME/ is a resource inside it.
_NAMESPACE_SUBRESOURCES = ("status", "finalize")


@dataclass(frozen=True, slots=True)
class ResourcePath:
    """``/apis/GROUP/VERSION/namespaces/NAMESPACE/PLURAL/NAME/SUBRESOURCE``; absent parts are empty.

    ``is_watch`` is set for the old form with ``/watch/`` after the version. ``proxied`` is what follows
    ``/proxy``, with its first slash and still escaped.
    """

    group: str
    version: str
    plural: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    is_watch: bool = False
    proxied: str = ""


def parse_path(raw_path: str) -> ResourcePath | None:
    """The parts of an (escaped) path, or None if it is not one of a resource."""
    parts = [unquote(part) for part in raw_path.strip("/").split("/")]
    if not all(parts):
        return None  # an empty namespace must not widen the request to all of them
    if parts[0] == "api" and len(parts) >= 3:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) >= 4:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    is_watch = rest[0] == "watch" and len(rest) > 1
    if is_watch:
        rest = rest[1:]
    namespace = ""
    if rest[0] == "namespaces" and len(rest) >= 3 and rest[2] not in _NAMESPACE_SUBRESOURCES:
        namespace, rest = rest[1], rest[2:]
    is_proxy = len(rest) >= 3 and rest[2] == PROXY
    if len(rest) > 3 and not is_proxy:
        return None
    plural, name, subresource = (*rest, "", "")[:3]
    proxied = ""
    if is_proxy:
        after = raw_path.lstrip("/").split("/")[len(parts) - len(rest) + 3 :]
        proxied = f"/{'/'.join(after)}"
    return ResourcePath(group, version, plural, namespace, name, subresource, is_watch, proxied)
