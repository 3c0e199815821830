"""The thread that says "still here" on connections of its own, whatever the main loop is doing.

A long transaction or an import must not look like a death; a main loop that hangs must not look alive.
So the beat carries the counter of the main loop's turns. The parent process gets them over a pipe (`common.beats`),
also while no connection stands.

Not here: a loop that beats itself (`handlers.resting`).
"""

import logging
import threading

import zmq

from deltawire.common.beats import of_process
from deltawire.common.errors import ConfigError
from deltawire.common.wire import sockets
from deltawire.common.wire.codec import encode, pack, plain
from deltawire.common.wire.link import Link
from deltawire.common.wire.network import TCP

log = logging.getLogger(__name__)


class Heartbeat:
    """Beats for every watched Link, each ``interval_s``. ``turns``: of the main loop, which counts them."""

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]", interval_s: float) -> None:
        self._context = context
        self._interval_s = interval_s
        # Each with the number of intervals between two beats.
        self._watched: list[tuple[Link, int]] = []
        self.turns = 0
        self._beats = of_process()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def watch(self, link: Link, *, every: int = 1) -> None:
        """``every``: beat only each so many intervals, where other messages show that the process lives."""
        self._watched = [*self._watched, (link, every)]

    def forget(self, link: Link) -> None:
        self._watched = [(other, every) for other, every in self._watched if other is not link]

    def show(self) -> None:
        """The main loop turns: report it to the parent."""
        # Without its thread the process would be silent to its peers for ever: then it must be replaced, too.
        if self._thread.ident is None or self._thread.is_alive():
            self._beats.turn()

    @property
    def links(self) -> list[Link]:
        """Those it beats for."""
        return [link for link, _ in self._watched]

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        # By link and identity: a link that connects anew on TCP has another one, and maybe another key.
        beats: dict[tuple[Link, bytes], zmq.Socket[bytes]] = {}
        number = 0
        try:
            while self._waits(number):
                wanted = {(link, link.beat_identity): every for link, every in self._watched}
                for gone in [known for known in beats if known not in wanted]:
                    beats.pop(gone).close(linger=0)
                for known, every in wanted.items():
                    link, identity = known
                    if known not in beats:
                        try:
                            beats[known] = sockets.connect(self._context, link.endpoint, identity)
                        except ConfigError as error:
                            # Without beats the session ends, and the link's own attempts say why.
                            log.debug("no beats to %s: %s", link.endpoint, error)
                            continue
                    elif number % every:
                        continue
                    if not self._beat(beats[known], *link.session) and link.endpoint.startswith(TCP):
                        # Its key was refused, and libzmq gave the connection up: the next beat makes another.
                        beats.pop(known).close(linger=0)
                number += 1
        finally:
            for socket in beats.values():
                socket.close(linger=0)

    def _waits(self, number: int) -> bool:
        """Until beat ``number`` is due; False at the end."""
        return number == 0 or not self._stop.wait(self._interval_s)

    def _beat(self, socket: "zmq.Socket[bytes]", session: int, version: int) -> bool:
        """False if it could not be sent."""
        if session:
            try:
                socket.send(pack(session, 0, encode(plain("beat", self.turns)), version=version), zmq.NOBLOCK)
            except zmq.Again:
                # The peer has been away for so long that beats fill the socket; later ones will reach it.
                return False
        return True
