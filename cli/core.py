"""Which pipeline a command means, and where: the state folder here, or a core on another host."""

from pathlib import Path

from deltawire.cli import config_source
from deltawire.cli.stores import shards_of
from deltawire.common.clock import SystemClock
from deltawire.common.config.plan import Plan
from deltawire.common.errors import ConfigError
from deltawire.common.wire.network import TCP
from deltawire.handlers.core import address_plan, described


def plan_of(
    config: Path | None,
    store: Path | None = None,
    core: str | None = None,
    key: Path | None = None,
    *,
    is_described: bool = True,
) -> Plan:
    """As `config_source.plan_of`; a `CorePlan` where the core is on another host.

    That is so with ``core`` (HOST:PORT of its `control`), and where the config names it on TCP and its state folder is
    not here. ``key``: a secret's file; without it the key of ``cli`` of the config's folder is used. ``is_described``:
    the core is asked what it is; a question that goes to `control` alone needs no more than the address. Raises
    ConfigError, and NoAnswer where the core does not answer.
    """
    if core is None:
        if key is not None:
            raise ConfigError("a key needs to know what for", path="--key", hint="say --core HOST:PORT, too")
        plan = config_source.plan_of(config, store)
        is_far = plan.endpoint("control").startswith(TCP) and not shards_of(plan.store_dir)
        return described(plan, clock=SystemClock()) if is_far and is_described else plan
    if store is not None:
        raise ConfigError("a core on another host has its own", path="--store", hint="leave --store or --core out")
    mine = config_source.read(config, is_strict=False)
    if key is None and mine is not None and mine.network.keys is not None:
        key = Path(str(Plan(mine).keys_dir)) / "cli.secret"
    found = address_plan(core, key, None if mine is None else mine.clusters)
    if found.owner.partition("/")[0] not in ("cli", "reader"):
        raise ConfigError(
            f"{key} is a key of {found.owner}", path="--key", hint="commands use one of cli or reader/NAME"
        )
    return described(found, clock=SystemClock()) if is_described else found

