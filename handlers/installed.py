"""Handlers that installed packages bring along: entry points of the group ``deltawire.handlers``.

    [project.entry-points."deltawire.handlers"]
    audit = "my_package.audit"

Then ``run: audit`` in a config, or ``deltawire run audit``, runs the handlers of that module.

Not here: loading it (``loader``).
"""

from functools import cache

GROUP = "deltawire.handlers"


@cache
def installed() -> dict[str, str]:
    """The dotted module by the entry point's name. Of two packages with a name, the first by module has it."""
    # Imported when first used: it costs 20 ms, and most plug-ins are files.
    from importlib.metadata import entry_points

    found = sorted(entry_points(group=GROUP), key=lambda point: point.module, reverse=True)
    return {point.name: point.module for point in found}


def module_of(name: str) -> str:
    """The dotted module that ``name`` stands for: itself, unless it is an entry point's."""
    return name if "." in name else installed().get(name, name)
