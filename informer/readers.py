"""Peers of `worker-<i>` that only ask: commands, and programs that read caches. They are of no group."""

import logging

from deltawire.common.wire.listener import Listener
from deltawire.common.wire.listener_events import Gone
from deltawire.common.wire.messages import group as wire
from deltawire.common.wire.messages.proofs import InformerProof
from deltawire.common.wire.session import Peer

log = logging.getLogger(__name__)

# What they call themselves in their hello.
ROLE = "cli"


class Readers:
    """Their sessions. They get proofs, and answers to queries; nothing else that they say counts."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._here: dict[bytes, Peer] = {}

    def __len__(self) -> int:
        return len(self._here)

    def hello(self, peer: Peer) -> None:
        if self._listener.welcome(peer):
            self._here[peer.identity] = peer

    def has(self, peer: Peer) -> bool:
        return peer.identity in self._here

    def refuse(self, peer: Peer, what: str) -> None:
        """It said what only a replica may say: nothing of it counts, and its session ends."""
        log.warning("reset %s: it reads, and sent %s", peer.name[:80], what)
        if self._listener.guard is not None:
            self._listener.guard.note_refusal(peer, what)
        self._listener.reset(peer, f"it reads, and sent {what}")

    def gone(self, event: Gone) -> None:
        if self._here.pop(event.peer.identity, None) is not None:
            log.debug("reader %s is gone: %s", event.peer.name[:80], event.reason)

    def prove(self, rows: list[InformerProof]) -> None:
        """Tell each how fresh the informers are that it may read."""
        guard = self._listener.guard
        for identity, peer in self._here.items():
            seen = [row for row in rows if guard is None or guard.may_read(peer.key, row.informer)]
            self._listener.send(identity, wire.InformerProofs(seen))
