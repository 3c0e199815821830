"""What ``deltawire keys`` does to a folder of keys. Raises ConfigError."""

from collections.abc import Iterable, Iterator

from deltawire.common.config.plan import Plan
from deltawire.common.errors import ConfigError
from deltawire.common.wire.keys import (
    LIMITED,
    Allowed,
    KeyFolder,
    Secret,
    new_secret,
    parse_entry,
    parse_owner,
)


def owners_of(plan: Plan) -> Iterator[str]:
    """Who needs a key in this pipeline."""
    runtime = plan.config.runtime
    yield from ("control", "fifo")
    yield from (f"reflector-{i}" for i in range(runtime.reflectors))
    yield from (f"worker-{i}" for i in range(runtime.workers))
    yield from (f"handler/{name}" for name in plan.handlers)
    yield "cli"


def make(folder: KeyFolder, owners: Iterable[str], informers: Iterable[str] = ()) -> list[Allowed]:
    """A key for each owner that has none here; they are allowed. The new ones."""
    wanted = [parse_owner(owner) for owner in owners]
    entries, made = folder.allowed(), []
    for owner in wanted:
        if folder.secret_path(owner).exists():
            continue
        pair = new_secret()
        folder.keep_secret(owner, pair)
        made.append(_entry(owner, pair.public, informers))
    if made:
        folder.allow(entries + made)
    return made


def allow(folder: KeyFolder, owner: str, key: str, informers: Iterable[str] = ()) -> Allowed:
    """Allow a key that was made elsewhere, or other informers to one that is allowed."""
    entry = parse_entry(_entry(owner, key, informers).line.split())
    folder.allow([*(known for known in folder.allowed() if known.key != key), entry])
    return entry


def revoke(folder: KeyFolder, what: str) -> list[Allowed]:
    """Allow a key, or all keys of an owner, no longer. The lines that are gone."""
    entries = folder.allowed()
    gone = [entry for entry in entries if what in (entry.owner, entry.key)]
    if not gone:
        known = ", ".join(sorted({entry.owner for entry in entries})) or "none"
        raise ConfigError(f"no key of {what!r} is allowed", hint=f"owners: {known}")
    folder.allow([entry for entry in entries if entry not in gone])
    return gone


def rotate(folder: KeyFolder, owner: str) -> tuple[Secret, list[Allowed]]:
    """A new key for the owner, allowed as the newest one was. Also the keys that it had: they stay allowed.

    Raises ConfigError for an owner without any key: a name that is mistyped must not become one that may connect.
    """
    parse_owner(owner)
    entries = folder.allowed()
    former = [entry for entry in entries if entry.owner == owner]
    if not former and not folder.secret_path(owner).exists():
        raise ConfigError(f"{owner} has no key in {folder.folder}", hint=f"`deltawire keys new {owner}` makes one")
    pair = new_secret()
    informers = former[-1].informers if former else None
    # Allowed before it is used: who connects with it is let in.
    folder.allow([*entries, Allowed(owner, pair.public, informers)])
    folder.keep_secret(owner, pair)
    return pair, former


def rows(folder: KeyFolder) -> list[list[str]]:
    """The list as a table, its head first."""
    table = [["OWNER", "KEY", "INFORMERS", "SECRET"]]
    for entry in folder.allowed():
        informers = "all" if entry.informers is None else ",".join(sorted(entry.informers))
        may_read = informers if entry.kind in (*LIMITED, "cli") else "-"
        table.append([entry.owner, entry.key, may_read, "here" if _is_here(folder, entry) else "-"])
    return table


def problems(folder: KeyFolder, owners: Iterable[str]) -> Iterator[str]:
    """What keeps a process of one of these owners on this host from being let in."""
    entries = folder.allowed()
    wanted = list(owners)
    missing = [owner for owner in wanted if not folder.secret_path(owner).exists()]
    if missing:
        yield f"{folder.folder} has no key of {', '.join(missing)} ({_made_by(missing)} makes what is missing)"
    for owner in wanted:
        if owner in missing:
            continue
        try:
            pair = folder.secret(owner)
        except ConfigError as error:
            yield str(error)
            continue
        if not any(entry.key == pair.public and entry.owner == owner for entry in entries):
            command = f"deltawire keys allow {owner} '{pair.public}'"
            yield f"the key of {owner} is not in {folder.folder}/allowed (`{command}`)"


def _made_by(missing: list[str]) -> str:
    """The command for keys that are missing: a handler may be in no config, so that it is named."""
    if all(Allowed(owner, "").kind in LIMITED for owner in missing):
        return " and ".join(f"`deltawire keys new {owner}`" for owner in missing)
    return "`deltawire keys new`"


def _is_here(folder: KeyFolder, entry: Allowed) -> bool:
    try:
        return folder.secret(entry.owner).public == entry.key
    except ConfigError:
        return False


def _entry(owner: str, key: str, informers: Iterable[str]) -> Allowed:
    names = frozenset(informers)
    entry = Allowed(owner, key, names or None)
    if names and entry.kind not in LIMITED:
        raise ConfigError(
            f"{owner} has no informers of its own", path="--informers", hint="only handlers and readers have"
        )
    return entry
