"""Loads a plug-in's file and finds its handlers; every fault is one line that names file and line.

The supervisor never imports a plug-in: it asks ``python -m deltawire.handlers --describe FILE``, a process
that ends afterwards, and reads `describe`'s answer.

Not here: what a handler is (``api``), calling its functions (``calls``).
"""

import importlib
import importlib.util
import re
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from deltawire.common.errors import PluginError
from deltawire.handlers import mistakes
from deltawire.handlers.api import Handler
from deltawire.handlers.installed import module_of
from deltawire.handlers.signatures import place_of

# The plug-in's module bears a name that no import statement can write, so it hides no other module.
MODULE = "deltawire plugin"
_UNKNOWN_ARGUMENT = re.compile(r"Handler\.__init__\(\) got an unexpected keyword argument '(\w+)'")
FILE_BYTES_MAX = 8 * 1024 * 1024


def load(target: str) -> list[Handler]:
    """The handlers of a plug-in, in the order of their definition: at least one, names unique.

    ``target`` is the path of a ``.py`` file, the dotted name of a module, or the name of an entry point of the group
    ``deltawire.handlers``. The file's folder comes first
    on the import path, as it does for ``python FILE.py``. Raises PluginError.
    """
    _prepare()
    is_file = target.endswith(".py") or "/" in target
    module = _load_file(Path(target)) if is_file else _load_module(module_of(target))
    return _handlers_of(module, target)


def pick(handlers: list[Handler], name: str, target: str) -> Handler:
    """The handler that the group ``name`` of the config means: the one so named, or the only one.

    Raises PluginError if there are several and none has the name.
    """
    for handler in handlers:
        if handler.name == name:
            return handler
    if len(handlers) == 1:
        return handlers[0]
    names = ", ".join(repr(handler.name) for handler in handlers)
    raise PluginError(f"{target}: no handler named {name!r} among {names}", hint="rename the config's entry")


def describe(handlers: list[Handler]) -> dict[str, Any]:
    """What the handlers watch, as plain data: how the supervisor learns it.

    ``{"handlers": [{"name", "delivery", "workers", "resync_s", "deadline_s", "attempts_max", "writes",
    "on": […], "places": {…}}]}``.
    ``on`` has one entry for each resource: ``resource``, ``owner`` (null without one), ``verbs`` (``add``,
    ``update``, ``delete``, ``gap``, ``reconcile``; none where only the cache is read) and ``indexes``.
    ``places``: resource → ``file.py:12`` of the first function that names it.
    """
    return {"handlers": [_describe(handler) for handler in handlers]}


def _describe(handler: Handler) -> dict[str, Any]:
    on: dict[str, dict[str, Any]] = {}

    def entry(resource: str) -> dict[str, Any]:
        indexes = handler.indexes.get(resource, {})
        return on.setdefault(resource, {"resource": resource, "owner": None, "verbs": [], "indexes": indexes})

    places: dict[str, str] = {}
    for subscription in handler.subscriptions:
        for name in filter(None, (subscription.resource, subscription.owner)):
            places.setdefault(name, place_of(subscription.function))
        found = entry(subscription.resource)
        verb = subscription.verb.removeprefix("on_")
        if verb not in found["verbs"]:
            found["verbs"].append(verb)
        found["owner"] = found["owner"] or subscription.owner or None
    # A reconcile with an owner reads the owner's cache (`ctx.lister`), so there must be one.
    owners = [subscription.owner for subscription in handler.subscriptions if subscription.owner]
    for resource in (*owners, *handler.reads, *handler.indexes):
        entry(resource)
    return {
        "name": handler.name,
        "delivery": handler.delivery,
        "workers": handler.workers,
        "resync_s": handler.resync_s,
        "deadline_s": handler.deadline_s,
        "attempts_max": handler.attempts_max,
        "writes": list(handler.writes),
        "on": list(on.values()),
        "places": places,
    }


def _prepare() -> None:
    """Classes of objects are had without the HTTP client of the package that they are in."""
    from deltawire.client.typed.models import defer_package

    defer_package()


def _load_file(path: Path) -> ModuleType:
    try:
        source = path.read_bytes()
    except OSError as error:
        raise PluginError(f"cannot read {path}: {error.strerror}") from None
    if len(source) > FILE_BYTES_MAX:
        raise PluginError(f"{path} is larger than {FILE_BYTES_MAX} bytes")
    try:
        code = compile(source, str(path), "exec", dont_inherit=True)
    except SyntaxError as error:
        raise PluginError(f"{path}:{error.lineno or 1}: syntax error: {error.msg}") from None
    except ValueError as error:
        raise PluginError(f"{path} is not Python source: {error}") from None
    spec = importlib.util.spec_from_file_location(MODULE, path)
    if spec is None:
        raise PluginError(f"{path} is not a Python file", hint="its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    # Registered while it runs, since dataclasses and typing look their module up.
    sys.modules[MODULE] = module
    try:
        exec(code, module.__dict__)  # noqa: S102  # running the user's own file is what a loader is for
    except PluginError as error:
        raise _placed(error, str(path)) from None
    except (Exception, SystemExit) as error:
        raise _raised(error, str(path)) from None
    return module


def _load_module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except PluginError:
        raise
    except SyntaxError as error:
        raise PluginError(f"{error.filename}:{error.lineno or 1}: syntax error: {error.msg}") from None
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            raise PluginError(
                f"no module named {name!r}, nor an installed handler",
                hint="a file's name ends in .py; `deltawire handlers installed` lists those of packages",
            ) from None
        raise _raised(error, name) from None
    except (Exception, SystemExit) as error:
        raise _raised(error, name) from None


def _raised(error: BaseException, target: str) -> PluginError:
    """One line for an exception on import."""
    text = " ".join(str(error).split())
    unknown = _UNKNOWN_ARGUMENT.fullmatch(text) if isinstance(error, TypeError) else None
    if unknown:
        text += mistakes.instead_of_argument(unknown[1])
    return PluginError(
        f"{target}{_line_in(error, target)}: raised while it was loaded: {type(error).__name__}: {text}"
    )


def _placed(error: PluginError, target: str) -> PluginError:
    """The same with the file and line, where its message does not begin with them."""
    if error.message.startswith(target):
        return error
    return PluginError(f"{target}{_line_in(error, target)}: {error.message}", hint=error.hint)


def _line_in(error: BaseException, target: str) -> str:
    """``:12``, the innermost line of the plug-in itself that led to the error; "" if it is not in there."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == target]
    return f":{lines[-1]}" if lines else ""


def _handlers_of(module: ModuleType, target: str) -> list[Handler]:
    handlers: list[Handler] = []
    for value in vars(module).values():
        if isinstance(value, Handler) and not any(value is other for other in handlers):
            handlers.append(value)
    if not handlers:
        raise PluginError(
            f"{target} defines no Handler", hint='it needs a line such as handler = Handler("printer")'
        )
    names: set[str] = set()
    for handler in handlers:
        if handler.name in names:
            raise PluginError(f"{target} defines two handlers named {handler.name!r}")
        names.add(handler.name)
        if not handler.subscriptions:
            raise PluginError(
                f"{target}: handler {handler.name!r} has no functions",
                hint='decorate one, such as @handler.on_add("pods")',
            )
    return handlers
