"""The one place that loads `lightkube.models`: per group at first use, without lightkube's own client.

The classes are the real ones, so that ``from lightkube.models.core_v1 import Pod`` in a program means the same
class. lightkube's ``__init__`` imports its HTTP client (100 ms, 9 MiB); here it is not run until one of its
names is used, which this project never does.
"""

import importlib
import importlib.util
import sys
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any

import msgspec

from deltawire.common.errors import ConfigError

_PACKAGE = "lightkube"
_lock = threading.RLock()


def models(module: str) -> ModuleType:
    """The module of one group and version (``apps_v1``). Raises ConfigError where there is none."""
    defer_package()
    try:
        return importlib.import_module(f"{_PACKAGE}.models.{module}")
    except ImportError as error:
        raise ConfigError(
            f"the classes of {module} cannot be loaded: {error}",
            hint="pip install 'lightkube>=1.0' lightkube-models",
        ) from None


def model(module: str, name: str) -> type[Any]:
    """One class, by the module it is in and its name (``apps_v1``, ``Deployment``). Raises ConfigError."""
    found = getattr(models(module), name, None)
    if not isinstance(found, type) or not issubclass(found, msgspec.Struct):
        raise ConfigError(f"the installed models have no {module}.{name}", hint="update lightkube-models")
    return found


class _DeferredPackage(ModuleType):
    """A package whose body runs when one of its names is asked for; its submodules load without it."""

    is_running = False
    load: Callable[[ModuleType], None]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        with _lock:
            if type(self) is _DeferredPackage and not self.is_running:
                self.is_running = True
                try:
                    self.load(self)
                finally:
                    self.is_running = False
                object.__setattr__(self, "__class__", ModuleType)  # from now on an ordinary module
        try:
            return self.__dict__[name]
        except KeyError:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}") from None


def defer_package() -> None:
    """From now on ``from lightkube.models… import …`` runs nothing but these modules. Raises ConfigError without it."""
    with _lock:
        if _PACKAGE in sys.modules:
            return
        spec = importlib.util.find_spec(_PACKAGE)
        if spec is None or spec.loader is None:
            raise ConfigError(f"the package {_PACKAGE} is not installed", hint="pip install deltawire again")
        package = importlib.util.module_from_spec(spec)
        package.__class__ = _DeferredPackage
        if isinstance(package, _DeferredPackage):
            package.load = spec.loader.exec_module
        sys.modules[_PACKAGE] = package
