"""The few fields that tools read of any object, raw (a dict) or typed (a class with the same names)."""

from typing import Any


def field(obj: Any, name: str) -> Any:
    """``obj``'s field, by its name in JSON; None where it has none."""
    return obj.get(name) if isinstance(obj, dict) else getattr(obj, name, None)


def metadata(obj: Any, name: str) -> str:
    """A field of the object's metadata as text; "" where it has none."""
    found = field(obj, "metadata")
    return "" if found is None else str(field(found, name) or "")


def key(obj: Any) -> str:
    """client-go's MetaNamespaceKeyFunc: ``namespace/name``, or the name alone."""
    namespace, name = metadata(obj, "namespace"), metadata(obj, "name")
    return f"{namespace}/{name}" if namespace else name


def split_key(key: str) -> tuple[str, str]:
    """client-go's SplitMetaNamespaceKey, inverse of `key`: (namespace, name), ("", name) for a name alone.

    Raises ValueError for a key with more parts than two.
    """
    parts = key.split("/")
    if len(parts) > 2:
        raise ValueError(f"{key!r} is no key: more parts than namespace/name")
    return ("", key) if len(parts) == 1 else (parts[0], parts[1])
