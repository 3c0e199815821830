"""The keys of CURVE (docs/wire.md §1): a secret for each owner, and the list of the public keys that are allowed.

An owner is ``fifo``, ``control``, ``reflector-<i>``, ``worker-<i>``, ``handler/<name>``, ``cli``, ``cli/<name>``,
``reader`` or ``reader/<name>``: it says what its key may do. The folder of keys holds ``allowed`` (public, one line a
key) and ``<owner>.secret``; a host has the list and the secrets of its own processes.

Not here: who may speak on a socket (``guard``), sockets.
"""

import re
import struct
from pathlib import Path
from typing import NamedTuple

import zmq
from zmq.utils import z85

from deltawire.common.errors import ConfigError
from deltawire.common.store.files import write_whole

ALLOWED = "allowed"
# How often the files are looked at while a process runs.
LOOK_EVERY_S = 1.0
_OWNER = re.compile(
    r"fifo|control|(?:reflector|worker)-[0-9]{1,2}|cli|reader|(?:handler|cli|reader)/[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
)
# Whose line may name the informers that they may read.
LIMITED = ("handler", "reader")
_KEY_CHARS = 40
_LIST_BYTES_MAX = 1024 * 1024
_INFORMERS = "informers="
_HEAD = "# Keys that may connect: OWNER PUBLIC-KEY [informers=NAME,...]. Written by `deltawire keys`.\n"


class Allowed(NamedTuple):
    """A line of the list. ``informers``: which a handler or a reader may read, as the config names them; None: all."""

    owner: str
    key: str
    informers: frozenset[str] | None = None

    @property
    def kind(self) -> str:
        """Whose key it is: ``reflector``, ``worker``, ``handler``, ``cli``, ``reader``, ``fifo`` or ``control``."""
        return self.owner.partition("/")[0].partition("-")[0]

    @property
    def line(self) -> str:
        rest = "" if self.informers is None else f" {_INFORMERS}{','.join(sorted(self.informers))}"
        return f"{self.owner} {self.key}{rest}\n"


class Secret(NamedTuple):
    """A pair of keys, Z85."""

    public: str
    secret: str


def parse_owner(text: str) -> str:
    """The owner, as it was given. Raises ConfigError."""
    if not _OWNER.fullmatch(text):
        raise ConfigError(
            f"{text!r} cannot own a key",
            hint="an owner is fifo, control, reflector-0, worker-0, handler/NAME, cli, cli/NAME, reader or reader/NAME",
        )
    return text


def owner_of_socket(socket: str) -> str:
    """Whose key who connects to ``fifo-in``, ``fifo-out``, ``worker-<i>`` or ``control`` expects there."""
    return "fifo" if socket.startswith("fifo-") else socket


def new_secret() -> Secret:
    """A new pair. Its public key is no option of a command line, which begins with a hyphen."""
    while True:
        public, secret = zmq.curve_keypair()
        if not public.startswith(b"-"):
            return Secret(public.decode(), secret.decode())


def parse_allowed(text: str, where: str) -> list[Allowed]:
    """The lines of a list, in their order. Raises ConfigError that names the line."""
    found: dict[str, Allowed] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            allowed = parse_entry(line.split())
            if allowed.key in found:
                raise ConfigError(f"the key of {found[allowed.key].owner} again: a key has one owner")
        except ConfigError as error:
            raise ConfigError(f"{where} line {number}: {error.message}", hint=error.hint) from None
        found[allowed.key] = allowed
    return list(found.values())


def format_allowed(entries: list[Allowed]) -> str:
    return _HEAD + "".join(entry.line for entry in entries)


class KeyFolder:
    """The files of keys in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def allowed(self) -> list[Allowed]:
        """The list; empty where there is none. Raises ConfigError."""
        path = self.folder / ALLOWED
        try:
            data = path.read_bytes()
            if len(data) > _LIST_BYTES_MAX:
                raise ConfigError(f"{path} is larger than {_LIST_BYTES_MAX} bytes")
            return parse_allowed(data.decode(), str(path))
        except FileNotFoundError:
            return []
        except UnicodeDecodeError:
            raise ConfigError(f"{path} is not UTF-8", hint="write it with `deltawire keys`") from None
        except OSError as error:
            raise ConfigError(f"cannot read {path}: {error.strerror}") from None

    def allow(self, entries: list[Allowed]) -> None:
        """Replace the list. Raises ConfigError."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_whole(self.folder / ALLOWED, format_allowed(entries).encode())
        except OSError as error:
            raise ConfigError(f"cannot write {self.folder / ALLOWED}: {error.strerror}") from None

    def secret_path(self, owner: str) -> Path:
        return self.folder / f"{owner.replace('/', '.')}.secret"

    def secret(self, owner: str) -> Secret:
        """The owner's pair. Raises ConfigError where it is not there, damaged, or readable by everybody."""
        path = self.secret_path(owner)
        try:
            is_open_to_all = bool(path.stat().st_mode & 0o007)
            words = path.read_text().split()
        except FileNotFoundError:
            raise ConfigError(
                f"there is no {path}: {owner} has no key here", hint=f"`deltawire keys new {owner}` makes one"
            ) from None
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"cannot read {path}: {error}") from None
        if is_open_to_all:
            raise ConfigError(f"{path} can be read by everybody", hint=f"chmod 600 {path}")
        try:
            pair = Secret(*words)
            is_pair = zmq.curve_public(pair.secret.encode()).decode() == pair.public
        except (TypeError, ValueError, zmq.ZMQError):
            is_pair = False
        if not is_pair:
            raise ConfigError(
                f"{path} is no pair of keys",
                hint=f"`deltawire keys rotate {owner}` makes a new one",
            )
        return pair

    def keep_secret(self, owner: str, pair: Secret) -> None:
        """Write the owner's pair so that only this user can read it. Raises ConfigError."""
        path = self.secret_path(owner)
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_whole(path, f"{pair.public}\n{pair.secret}\n".encode(), mode=0o600)
        except OSError as error:
            raise ConfigError(f"cannot write {path}: {error.strerror}") from None

    def stamp(self, owner: str) -> tuple[int, ...]:
        """Another value when the list or the owner's secret has changed."""
        stamps = []
        for path in (self.folder / ALLOWED, self.secret_path(owner)):
            try:
                found = path.stat()
                # The time of the last change of the inode, too: a copy may keep the time of its original.
                stamps += [found.st_mtime_ns, found.st_ctime_ns, found.st_dev, found.st_ino, found.st_size]
            except OSError:
                stamps.append(0)
        return tuple(stamps)


def parse_entry(words: list[str]) -> Allowed:
    """The entry that the words of a line are. Raises ConfigError."""
    if len(words) not in (2, 3):
        raise ConfigError("a line is OWNER PUBLIC-KEY [informers=NAME,...]")
    owner, key, *rest = words
    parse_owner(owner)
    if len(key) != _KEY_CHARS or not _is_z85(key):
        raise ConfigError(f"the key of {owner} is not one: a public key has {_KEY_CHARS} characters of Z85")
    if not rest:
        return Allowed(owner, key)
    entry = Allowed(owner, key, frozenset(filter(None, rest[0].removeprefix(_INFORMERS).split(","))))
    if not rest[0].startswith(_INFORMERS) or entry.kind not in LIMITED:
        raise ConfigError(
            f"{rest[0]!r} is not known here", hint="only handlers and readers have informers=NAME,..."
        )
    return entry


def _is_z85(text: str) -> bool:
    try:
        z85.decode(text)
    except (KeyError, ValueError, UnicodeEncodeError, struct.error):
        # The last: five characters that stand for more than 32 bits.
        return False
    return True
