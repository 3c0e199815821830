"""What plug-in files watch: asked of a process that loads them and ends, so that user code never runs in ours."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from deltawire.common.config.schema import Config, HandlerProcess, Subscription
from deltawire.common.errors import ConfigError, PluginError

# A plug-in that has not been loaded after this long hangs.
DESCRIBE_TIMEOUT_S = 30.0


class Described(msgspec.Struct, frozen=True):
    """One handler of a plug-in file."""

    name: str
    on: list[Subscription] = []
    writes: list[str] = []
    # Resource → ``file.py:12`` of the function that names it.
    places: dict[str, str] = {}


class _Answer(msgspec.Struct):
    handlers: list[Described]


@dataclass(frozen=True, slots=True)
class Target:
    """A file (or dotted module), and what is added to the environment that it is loaded in."""

    name: str
    env: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class _Asked:
    target: Target
    process: "subprocess.Popen[bytes]"


def describe(targets: Sequence[Target]) -> dict[Target, list[Described]]:
    """The handlers of each, all asked at once. Raises PluginError with one line."""
    asked = [_Asked(target, _ask(target)) for target in dict.fromkeys(targets)]
    try:
        return {each.target: _answer(each) for each in asked}
    finally:
        for each in asked:
            if each.process.poll() is None:
                each.process.kill()
                each.process.wait()
            for stream in (each.process.stdout, each.process.stderr):
                if stream is not None:
                    stream.close()


def complete(config: Config) -> Config:
    """The config with ``on`` and ``writes`` of each `run:` handler from its file. Raises PluginError, ConfigError."""
    described = describe([target_of(h) for h in config.handlers if h.run and not h.on])
    handlers = []
    for handler in config.handlers:
        if handler.run and not handler.on:
            chosen = _pick(described[target_of(handler)], handler.name, handler.run)
            handler = msgspec.structs.replace(
                handler, on=list(chosen.on), writes=handler.writes or list(chosen.writes)
            )
        handlers.append(handler)
    return msgspec.structs.replace(config, handlers=handlers)


def places_of(config: Config, resource: str) -> list[str]:
    """Where a resource is named: ``site.py:12`` of plug-ins, ``handler audit`` and ``informers`` of the config.

    Loads the plug-ins, for errors only. Raises PluginError.
    """
    found: list[str] = []
    described = describe([target_of(h) for h in config.handlers if h.run])
    for handler in config.handlers:
        names = {on if isinstance(on, str) else on.resource for on in handler.on}
        if handler.run:
            found += [d.places[resource] for d in described[target_of(handler)] if resource in d.places]
        elif resource in names:
            found.append(f"handler {handler.name}")
    if not found and any(informer.resource == resource for informer in config.informers):
        found.append("informers")
    return list(dict.fromkeys(found))


def target_of(handler: HandlerProcess) -> Target:
    """What a `run:` handler loads: the same file may watch something else in another environment."""
    return Target(handler.run or "", tuple(sorted(handler.env.items())))


def _ask(target: Target) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "deltawire.handlers", "--describe", target.name],
        env={**os.environ, **dict(target.env)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def _answer(asked: _Asked) -> list[Described]:
    try:
        out, err = asked.process.communicate(timeout=DESCRIBE_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise PluginError(
            f"{asked.target.name} was not loaded within {DESCRIBE_TIMEOUT_S:g} s",
            hint="a plug-in must not wait while it is imported",
        ) from None
    if asked.process.returncode != 0:
        words = [line for line in err.decode(errors="replace").splitlines() if line.strip()]
        raise PluginError(words[-1] if words else f"{asked.target.name} ended the process that loads it")
    try:
        return msgspec.json.decode(out, type=_Answer).handlers
    except msgspec.MsgspecError as error:
        raise PluginError(f"{asked.target.name}: what it watches cannot be read: {error}") from None


def _pick(found: list[Described], name: str, target: str) -> Described:
    """The handler of this name, or the only one."""
    for handler in found:
        if handler.name == name:
            return handler
    if len(found) == 1:
        return found[0]
    names = ", ".join(repr(handler.name) for handler in found)
    raise ConfigError(
        f"{target} has no handler named {name!r} (it has {names})", hint="name the config's entry after one"
    )
