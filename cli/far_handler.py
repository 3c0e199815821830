"""A handler whose core is on another host: the config that its process needs, from the core and from its own entry."""

from pathlib import Path

import msgspec

from deltawire.cli import config_source
from deltawire.common.clock import SystemClock
from deltawire.common.config.plan import Plan
from deltawire.common.config.schema import Config, HandlerProcess
from deltawire.common.errors import ConfigError
from deltawire.handlers.core import CorePlan, address_plan, described


def config_of(name: str, core: str, key: Path | None, run: Path | None, config: Path | None) -> Config:
    """The whole config of the process. Raises ConfigError, NoAnswer, PluginError.

    What it runs is said by ``run``, a plug-in's file, or by its entry in ``config``, which also says how clusters
    are reached from here, and has the folder of keys where there is no ``key``.
    """
    mine = config_source.read(config, is_strict=False)
    owner = f"handler/{name}"
    if key is None and mine is not None and mine.network.keys is not None:
        key = Path(str(Plan(mine).keys_dir)) / f"{owner.replace('/', '.')}.secret"
    place = address_plan(core, key, None if mine is None else mine.clusters)
    if key is not None and place.owner != owner:
        raise ConfigError(
            f"{key} is a key of {place.owner}", path="--key", hint=f"`deltawire keys new {owner}` makes one"
        )
    entry = _entry(name, run, mine)
    found = described(place, clock=SystemClock(), owner=owner)
    replace = msgspec.structs.replace
    whole = replace(
        found.config,
        runtime=replace(found.config.runtime, control=True, dir=None if mine is None else mine.runtime.dir),
        handlers=[entry],
    )
    _require_informers(config_source.effective(whole), found, name)
    return whole


def _entry(name: str, run: Path | None, mine: Config | None) -> HandlerProcess:
    known = next((one for one in (mine.handlers if mine is not None else []) if one.name == name), None)
    if run is not None:
        base = known or HandlerProcess(name=name)
        return msgspec.structs.replace(base, run=str(run), command=[])
    if known is None:
        raise ConfigError(
            f"what {name} runs is not known", hint="say --run FILE.py, or -c with a config that has the handler"
        )
    return known


def _require_informers(whole: Config, core: CorePlan, name: str) -> None:
    for informer in Plan(whole).handlers[name].subscriptions:
        if informer not in core.informers:
            known = ", ".join(core.informers) or "none"
            raise ConfigError(
                f"{name} watches {informer}, which the core does not cache for it (informers: {known})",
                hint="add an informer to the core's config, or to the handler's line of the keys",
            )
