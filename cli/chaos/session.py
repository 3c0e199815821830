"""What the command adds to a run: the folder, the seed, the words at the end."""

import random
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from deltawire.cli.chaos.nats.run import NatsRun
from deltawire.cli.chaos.nats.schedule import AWAY_S_MAX
from deltawire.cli.chaos.nats.schedule import schedule as nats_schedule
from deltawire.cli.chaos.run import Run, Settings, Verdict
from deltawire.cli.chaos.schedule import STOP_S_MAX, kills_and_stops, lasts_s, schedule
from deltawire.common.clock import SystemClock
from deltawire.common.errors import ConfigError, DeltawireError, StateError

# Beside the runs' folders: a line for each seed that failed.
FAILING = "failing-seeds.jsonl"


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """The command's options. ``engine``: ``memory`` or ``nats``. ``kills`` and ``stops`` replace ``for_s``.
    ``stop_s_max`` None: what the kind of run takes."""

    engine: str
    seed: int | None
    for_s: float
    folder: Path | None
    kills: int | None
    stops: int | None
    stop_s_max: float | None
    hang_after_s: float | None
    as_json: bool
    tell: Callable[[str], None]


def run(wanted: Wanted) -> int:
    """The exit code: 1 if the judges complain. Raises StateError for a folder that is used already,
    DeltawireError for a run that cannot go on."""
    seed = random.SystemRandom().randrange(1, 1_000_000) if wanted.seed is None else wanted.seed
    settings = _settings(wanted, seed)
    base = wanted.folder or Path(tempfile.mkdtemp(prefix="deltawire-chaos-"))
    folder = base.resolve() / f"seed-{seed}"
    try:
        folder.mkdir(parents=True, mode=0o700)
    except OSError as error:
        raise StateError(f"{folder} cannot be made: {error.strerror}", hint="name another --dir") from None
    # `wanted.tell` is a line a time; the seed comes first, so that a run that is broken off can be repeated, too.
    wanted.tell(f"seed {seed}, {len(settings.actions)} actions in {settings.for_s:.0f} s, in {folder}")
    try:
        kind = NatsRun if wanted.engine == "nats" else Run
        verdict = kind(folder, settings, SystemClock(), wanted.tell).run()
    except DeltawireError as error:
        _keep_seed(base, settings, {"broken-off": 1})
        raise DeltawireError(f"seed {seed} was broken off: {error}", hint=f"all files: {folder}") from None
    (folder / "verdict.json").write_bytes(msgspec.json.format(msgspec.json.encode(verdict)))
    if verdict.violations:
        _keep_seed(base, settings, verdict.counts)
    if wanted.as_json:
        sys.stdout.write(msgspec.json.encode(verdict).decode() + "\n")
    else:
        sys.stdout.write("\n".join(lines(verdict, folder)) + "\n")
    sys.stdout.flush()
    if wanted.folder is None and not verdict.violations:
        shutil.rmtree(base)
    return 1 if verdict.violations else 0


def _keep_seed(base: Path, settings: Settings, counts: dict[str, int]) -> None:
    with (base / FAILING).open("ab") as file:
        line = {"seed": settings.seed, "for_s": settings.for_s, "counts": counts}
        file.write(msgspec.json.encode(line) + b"\n")


def lines(verdict: Verdict, folder: Path) -> Iterator[str]:
    """The verdict for people."""
    did = ", ".join(f"{count} {kind}" for kind, count in sorted(verdict.actions.items()))
    yield f"did: {did or 'nothing'}"
    yield (
        f"judged: {verdict.calls} calls for {verdict.keys} keys, {verdict.versions} versions of the API server, "
        f"{verdict.lists} lists, {verdict.watches} watches, {verdict.claims} claims of readiness"
    )
    yield f"took {verdict.took_s} s, settled {verdict.settled_s} s after the last action"
    for rule, text in verdict.violations:
        yield f"VIOLATION {rule}: {text}"
    if verdict.violations:
        yield f"seed {verdict.seed}: {sum(verdict.counts.values())} violations {verdict.counts}; all files: {folder}"
    else:
        yield f"seed {verdict.seed}: nothing lost, nothing out of order, nothing unexplained"


def _settings(wanted: Wanted, seed: int) -> Settings:
    """Raises ConfigError for options that do not go together."""
    if wanted.engine == "nats":
        if wanted.kills is not None or wanted.stops is not None or wanted.hang_after_s is not None:
            raise ConfigError("--kills, --stops and --hang-after are for --engine memory", hint="say --for")
        stop_s_max = AWAY_S_MAX if wanted.stop_s_max is None else wanted.stop_s_max
        actions = nats_schedule(seed, wanted.for_s, stop_s_max=stop_s_max)
        return Settings(seed=seed, for_s=wanted.for_s, actions=actions)
    stop_s_max = STOP_S_MAX if wanted.stop_s_max is None else wanted.stop_s_max
    if wanted.kills is None and wanted.stops is None:
        actions = schedule(seed, wanted.for_s, stop_s_max=stop_s_max)
        return Settings(seed=seed, for_s=wanted.for_s, actions=actions, hang_after_s=wanted.hang_after_s)
    actions = kills_and_stops(seed, wanted.kills or 0, wanted.stops or 0, stop_s_max=stop_s_max)
    return Settings(
        seed=seed,
        for_s=lasts_s(actions),
        actions=actions,
        hang_after_s=wanted.hang_after_s,
    )
