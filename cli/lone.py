"""What a role needs where something else supervises it: containers, systemd, a terminal each."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile

import msgspec

from deltawire.cli import config_source, runtime_folder
from deltawire.common.config.load import dump
from deltawire.common.config.plan import Plan
from deltawire.common.config.schema import Config
from deltawire.common.store import folder as state_folder
from deltawire.common.temporary import temporary_folder
from deltawire.informer.store import generation


def effective(config: Config) -> Config:
    """As `config_source.effective`, but whether a role reports and keeps a health file is for the user to say."""
    runtime = config.runtime
    found = config_source.effective(config)
    kept = msgspec.structs.replace(found.runtime, control=runtime.control, health=runtime.health)
    return msgspec.structs.replace(found, runtime=kept)


@contextmanager
def effective_file(config: Config) -> Iterator[Path]:
    """The effective config as a file, for as long as a role runs. Raises ConfigError, PluginError, StateError."""
    whole = effective(config)
    with runtime_folder.owner_only():
        runtime_folder.prepare(Plan(whole).runtime_dir)
    with config_file(whole) as file:
        yield file


@contextmanager
def config_file(config: Config) -> Iterator[Path]:
    """A config as a file that only we may read, for as long as a role runs."""
    with runtime_folder.owner_only():
        # Closed by the next block.
        opened = NamedTemporaryFile(  # noqa: SIM115
            prefix="deltawire-", suffix=".json", dir=temporary_folder()
        )
    with opened as file:
        file.write(dump(config))
        file.flush()
        yield Path(file.name)


def prepare_store(config: Config, worker: int) -> None:
    """Make the state folder, or check that it, and what this worker owns of it, can be used. Raises StateError."""
    plan = Plan(config)
    with runtime_folder.owner_only():
        state_folder.prepare(plan.store_dir, plan.shards)
    owners = plan.shard_owners
    generation.require_schema(plan.store_dir, [shard for shard in range(plan.shards) if owners[shard] == worker])


def replica_name(handler: str) -> str:
    """The name of a replica without a number: containers and pods have host names of their own."""
    return f"{handler}-{socket.gethostname()}"
