"""Who may speak on a bound socket: the rules of docs/wire.md §1 for peers with a key. Pure but for `KeyFolder`.

A connection is admitted by its key alone, before anything that it sends is read. Each message carries the key of its
connection: it must be the one that the session was opened with.

Not here: the handshake (``gate``), sessions (``session``).
"""

import logging
from typing import Any, NamedTuple

from deltawire.common.errors import ConfigError
from deltawire.common.wire.audit import REFUSALS_EVERY_S, REFUSALS_MAX, Audit, Lines, audit
from deltawire.common.wire.keys import Allowed, KeyFolder, owner_of_socket
from deltawire.common.wire.session import BEAT_SUFFIX, Peer

log = logging.getLogger(__name__)
_SHOWN_CHARS = 80
# Sessions of one owner on one socket: twice the replicas that a handler may have.
SESSIONS_MAX = 128
# What a peer calls itself where it is not as the kind of its key: readers are commands that only read.
_ROLES = {"worker": "informer", "reader": "cli"}
_NOBODY = Allowed("nobody", "", frozenset())


class Change(NamedTuple):
    """``revoked``: identities whose key is not allowed any more, or is another owner's. ``limited``: those that may
    read other informers than before. ``is_own_new``: the socket's own key has changed.
    """

    revoked: list[bytes]
    limited: list[bytes]
    is_own_new: bool


class Guard:
    """The guard of one socket: ``fifo-in``, ``fifo-out``, ``worker-<i>`` or ``control``."""

    def __init__(self, socket: str, folder: KeyFolder) -> None:
        """Raises ConfigError where the socket's own key or the list cannot be read."""
        self.socket = socket
        # Connections that were refused.
        self.refused = 0
        self._folder = folder
        self._audit, self._denials = Audit(socket), Lines(REFUSALS_MAX, REFUSALS_EVERY_S)
        self._owner = owner_of_socket(socket)
        self._stamp = folder.stamp(self._owner)
        self._own, self._keys = self._read_own(), self._read_keys()
        # With which key a session was opened, by the peer's identity.
        self._keys_of: dict[bytes, str] = {}

    def admit(self, key: str, address: str, now_s: float) -> bool:
        """Whether a connection with this key may be made. Called from the gate's thread."""
        entry = self._keys.get(key)
        if entry is not None and _may_connect(entry.owner, self.socket):
            self._audit.admitted(entry.owner, address, key, now_s)
            return True
        self.refused += 1
        why = "not allowed" if entry is None else f"of {entry.owner}, who has nothing to do here"
        self._audit.refused(address, key, why, now_s)
        return False

    def objection(self, key: str, peer: Peer) -> str:
        """Why a hello cannot be accepted from a connection with this key; "" if it can."""
        entry = self._keys.get(key)
        if entry is None:
            return "its key is not allowed any more"
        name, role = entry.owner.partition("/")[2], entry.kind
        if peer.role != _ROLES.get(role, role):
            return f"its key is of {entry.owner}, and it calls itself {peer.role[:_SHOWN_CHARS]!r}"
        if self._has_enough(entry.owner, peer.identity):
            return f"{entry.owner} has {SESSIONS_MAX} sessions here"
        if role == "handler":
            return self._handlers_objection(entry, name, peer)
        if role not in ("cli", "reader") and peer.name != entry.owner:
            return f"its key is of {entry.owner}, and it calls itself {peer.name[:_SHOWN_CHARS]!r}"
        return ""

    def opens(self, key: str, identity: bytes) -> None:
        """A session begins: from now on only connections with this key speak for ``identity``."""
        self._keys_of[identity] = key

    def ends(self, identity: bytes) -> None:
        self._keys_of.pop(identity, None)

    def may_speak(self, key: str, identity: bytes) -> bool:
        """Whether a message from a connection with this key counts as one of the peer with ``identity``."""
        opened_with = self._keys_of.get(identity.removesuffix(BEAT_SUFFIX))
        return key in self._keys and (opened_with is None or opened_with == key)

    def may_read(self, key: str, informer: str) -> bool:
        entry = self._keys.get(key)
        return entry is not None and (entry.informers is None or informer in entry.informers)

    def entry(self, key: str) -> Allowed:
        """Whose the key is now; nobody's, who may read nothing, where it is not allowed."""
        return self._keys.get(key, _NOBODY)

    def note_refusal(self, peer: Peer, what: str) -> None:
        """A line for the audit, within bounds: a peer wanted what its key does not allow."""
        words = (self.socket, self.entry(peer.key).owner, peer.name[:_SHOWN_CHARS], what)
        self._denials.write(peer.heard_at_s, audit.warning, "%s: refused %s (%s) %s", *words)

    def look(self) -> Change | None:
        """What a change of the files means for the socket; None where it means nothing.

        What cannot be read is as it was, and a line says so: a secret that is missing keeps no key allowed.
        """
        stamp = self._folder.stamp(self._owner)
        if stamp == self._stamp:
            return None
        self._stamp = stamp
        own, keys, former = self._own, self._keys, self._keys
        try:
            own = self._read_own()
        except ConfigError as error:
            log.error("%s: its own key is as before: %s", self.socket, error)
        try:
            keys = self._read_keys()
        except ConfigError as error:
            log.error("%s: the keys that are allowed are as before: %s", self.socket, error)
        is_own_new, self._own, self._keys = own != self._own, own, keys
        for key in former.keys() - keys.keys():
            self._audit.forget(key)
        revoked, limited = [], []
        for identity, key in self._keys_of.items():
            entry, was = keys.get(key), former.get(key)
            if entry is None or was is None or entry.owner != was.owner:
                revoked.append(identity)
            elif entry != was:
                limited.append(identity)
        return Change(revoked, limited, is_own_new) if revoked or limited or is_own_new else None

    def _read_own(self) -> str:
        return self._folder.secret(self._owner).public

    def _read_keys(self) -> dict[str, Allowed]:
        return {entry.key: entry for entry in self._folder.allowed()}

    def _has_enough(self, owner: str, identity: bytes) -> bool:
        """Whether an owner has as many sessions as may be, besides the one with this identity."""
        others = (self._keys.get(key) for known, key in self._keys_of.items() if known != identity)
        return sum(entry is not None and entry.owner == owner for entry in others) >= SESSIONS_MAX

    def _handlers_objection(self, entry: Allowed, name: str, peer: Peer) -> str:
        shown = peer.name[:_SHOWN_CHARS]
        if self._handler_of(peer.name) != name:
            return f"its key is of {entry.owner}, and it calls itself {shown!r}"
        if self.socket == "control":
            return ""
        group = str(peer.body.get("group"))
        if group != name:
            return f"its key is of {entry.owner}, and it speaks for handler {group[:_SHOWN_CHARS]!r}"
        wanted: Any = peer.body.get("informers")
        if entry.informers is None or not isinstance(wanted, list):
            # What is no list is refused as malformed by who takes the hello.
            return ""
        strange = sorted(str(one) for one in wanted if not isinstance(one, str) or one not in entry.informers)
        return f"its key may not read {strange[0][:_SHOWN_CHARS]!r}" if strange else ""

    def _handler_of(self, replica: str) -> str:
        """Whose replica this name is: of the handlers with a key, the one with the longest fitting name."""
        names = (
            e.owner.removeprefix("handler/") for e in self._keys.values() if e.owner.startswith("handler/")
        )
        return max((name for name in names if replica.startswith(f"{name}-")), key=len, default="")


def _may_connect(owner: str, socket: str) -> bool:
    role = Allowed(owner, "").kind
    if socket == "control":
        return role != "control"
    if socket.startswith("worker-"):
        return role in ("handler", "cli", "reader")
    return role == ("reflector" if socket == "fifo-in" else "worker")
