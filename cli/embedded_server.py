"""What the embedded API server of a run starts with: flags of ``up`` and ``run``, checked before anything runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from deltawire.client.discovery.definitions import is_definition, types_of
from deltawire.common.config.schema import Config
from deltawire.common.errors import ConfigError
from deltawire.common.meta.resources import ResourceType, learn

OBJECTS = ("pods=200",)
CHURN = "50/s"
MANIFESTS = (".yaml", ".yml", ".json")


@dataclass(frozen=True, slots=True)
class EmbeddedServer:
    """What it starts with, as its own flags take it. ``types``: the custom resources that ``load`` defines."""

    objects: tuple[str, ...] = OBJECTS
    churn: str = CHURN
    controllers: bool = False
    load: tuple[Path, ...] = ()
    types: tuple[ResourceType, ...] = ()

    def flags(self) -> list[str]:
        found = ["--churn", self.churn]
        for objects in self.objects:
            found += ["--objects", objects]
        for path in self.load:
            found += ["--load", str(path)]
        return [*found, "--controllers"] if self.controllers else found


def of_flags(
    is_embedded: bool,
    objects: Sequence[str] | None,
    churn: str | None,
    *,
    controllers: bool = False,
    load: Sequence[Path] | None = None,
) -> EmbeddedServer | None:
    """The server that the flags ask for, None for none. Raises ConfigError for flags and files that make no sense.

    Whoever brings objects or controllers wants to see those: then nothing is made up unless it is asked for.
    """
    paths = tuple(load or ())
    if not is_embedded:
        for flag, is_given in (("--load", paths), ("--controllers", controllers)):
            if is_given:
                raise ConfigError(
                    f"{flag} is for the embedded API server, and a cluster of yours is used",
                    hint="add --embedded, or apply the files with kubectl",
                )
        return None
    is_own = bool(paths) or controllers
    return EmbeddedServer(
        tuple(objects or (() if is_own else OBJECTS)),
        churn or ("0" if is_own else CHURN),
        controllers,
        tuple(path.resolve() for path in paths),
        tuple(_types(paths)),
    )


def split(files: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """(plug-ins, manifests) of what a command line names: folders and YAML or JSON files are manifests."""
    manifests = [file for file in files if file.is_dir() or file.suffix in MANIFESTS]
    return [file for file in files if file not in manifests], manifests


def with_types(config: Config, server: EmbeddedServer | None) -> Config:
    """The config with the custom resources that the server is started with."""
    if server is None or not server.types:
        return config
    types = list(dict.fromkeys([*config.resources, *server.types]))
    return msgspec.structs.replace(config, resources=types)


def _types(paths: Sequence[Path]) -> list[ResourceType]:
    """This process knows them from now on: plug-ins name them before any server can be asked."""
    if not paths:
        return []
    # Imported here: it reads manifests with the API server's own eyes, which costs 100 ms.
    from deltawire.apiserver.loading import read_files

    found = [loaded.obj for loaded in read_files(paths) if is_definition(loaded.obj)]
    types = [one for definition in found for one in types_of(definition)]
    learn(types)
    return types
