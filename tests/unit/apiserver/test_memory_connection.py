"""A connection inside a process behaves as one over TCP."""

import asyncio
import io
import threading
from collections.abc import Callable, Iterator

import pytest

from deltawire.apiserver.inprocess.connection import (
    PIECE_BYTES_MAX,
    UNREAD_BYTES_HIGH,
    UNTAKEN_BYTES_MAX,
    MemorySocket,
    MemoryTransport,
)

END_S = 30.0


class Peer(asyncio.Protocol):
    """Remembers what happens to it; ``on_bytes`` decides what else it does."""

    def __init__(self, on_bytes: Callable[["Peer", bytes], None] | None = None) -> None:
        self.on_bytes = on_bytes
        self.received: list[bytes] = []
        self.paused = self.resumed = 0
        self.is_over = threading.Event()
        self.transport: MemoryTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, MemoryTransport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received.append(data)
        if self.on_bytes is not None:
            self.on_bytes(self, data)

    def pause_writing(self) -> None:
        self.paused += 1

    def resume_writing(self) -> None:
        self.resumed += 1

    def connection_lost(self, error: BaseException | None) -> None:
        self.is_over.set()


class Loop:
    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()

    def connect(self, peer: Peer) -> MemorySocket:
        socket = MemorySocket(self.loop, lambda transport: transport.open(peer))
        socket.settimeout(END_S)
        return socket

    def settle(self) -> None:
        """Return when the loop has done what it was given so far."""
        for _ in range(3):
            asyncio.run_coroutine_threadsafe(asyncio.sleep(0), self.loop).result(END_S)

    def stop(self) -> None:
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join(END_S)
            self.loop.close()


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.stop()


def read_all(socket: MemorySocket) -> bytes:
    parts = []
    while part := socket.recv(65536):
        parts.append(part)
    return b"".join(parts)


def test_what_was_written_arrives_before_the_end(loop: Loop) -> None:
    def answer(peer: Peer, data: bytes) -> None:
        peer.transport.write(data.upper())
        peer.transport.close()
        peer.transport.write(b"too late")

    peer = Peer(answer)
    socket = loop.connect(peer)
    socket.sendall(b"hello")
    assert read_all(socket) == b"HELLO"
    assert peer.is_over.wait(END_S)
    with pytest.raises(BrokenPipeError):
        socket.sendall(b"more")


def test_a_writer_is_paused_until_the_reader_has_caught_up(loop: Loop) -> None:
    size = UNREAD_BYTES_HIGH + 1
    peer = Peer(lambda peer, data: peer.transport.write(b"x" * size))
    socket = loop.connect(peer)
    socket.sendall(b"go")
    loop.settle()
    assert (peer.paused, peer.resumed) == (1, 0)
    seen = 0
    while seen < size:
        seen += len(socket.recv(size))
    loop.settle()
    assert (peer.paused, peer.resumed) == (1, 1)


def test_a_sender_waits_while_nothing_is_taken(loop: Loop) -> None:
    peer = Peer(lambda peer, data: peer.transport.pause_reading())
    socket = loop.connect(peer)
    socket.sendall(b"stop reading")
    loop.settle()
    socket.sendall(b"x" * UNTAKEN_BYTES_MAX)
    socket.settimeout(0.05)
    with pytest.raises(TimeoutError):
        socket.sendall(b"x")
    socket.settimeout(END_S)
    peer.on_bytes = None
    loop.loop.call_soon_threadsafe(peer.transport.resume_reading)
    socket.sendall(b"y")
    loop.settle()
    assert b"".join(peer.received) == b"stop reading" + b"x" * UNTAKEN_BYTES_MAX + b"y"
    assert max(map(len, peer.received)) <= PIECE_BYTES_MAX


def test_silence_is_a_time_out_and_nothing_is_lost_by_it(loop: Loop) -> None:
    peer = Peer()
    socket = loop.connect(peer)
    socket.settimeout(0.05)
    with pytest.raises(TimeoutError):
        socket.recv(1)
    socket.sendall(b"")
    loop.loop.call_soon_threadsafe(peer.transport.write, b"later")
    socket.settimeout(END_S)
    assert socket.recv(100) == b"later"


def test_a_file_outlives_its_socket_and_ends_the_connection_with_it(loop: Loop) -> None:
    peer = Peer(lambda peer, data: peer.transport.write(b"line\n"))
    socket = loop.connect(peer)
    file = socket.makefile("rb")
    socket.sendall(b"go")
    socket.close()
    assert file.readline() == b"line\n"
    assert not peer.is_over.is_set()
    file.close()
    assert peer.is_over.wait(END_S)


def test_a_close_ends_a_read_in_another_thread_whenever_that_began(loop: Loop) -> None:
    for _ in range(50):
        peer = Peer()
        socket = loop.connect(peer)
        socket.settimeout(None)
        file = socket.makefile("rb")
        ends: list[object] = []

        def read(file: io.BufferedReader = file, ends: list[object] = ends) -> None:
            try:
                ends.append(file.readline())
            except ValueError as error:  # closed before it began
                ends.append(str(error))

        reader = threading.Thread(target=read)
        reader.start()
        file.close()
        reader.join(END_S)
        assert ends in ([b""], ["readline of closed file"])
        socket.close()
        assert peer.is_over.wait(END_S)


def test_a_protocol_that_fails_ends_its_connection_only(loop: Loop) -> None:
    told = []
    loop.loop.set_exception_handler(lambda _, context: told.append(context["exception"]))

    def fail(peer: Peer, data: bytes) -> None:
        raise ValueError(data)

    broken, healthy = Peer(fail), Peer(lambda peer, data: peer.transport.write(data))
    socket, other = loop.connect(broken), loop.connect(healthy)
    socket.sendall(b"x")
    other.sendall(b"y")
    assert read_all(socket) == b""
    assert other.recv(10) == b"y"
    assert [type(error) for error in told] == [ValueError]


def test_nobody_is_reached_where_no_loop_runs(loop: Loop) -> None:
    peer = Peer()
    socket = loop.connect(peer)
    loop.stop()
    with pytest.raises(BrokenPipeError):
        socket.sendall(b"x")
    socket.close()
    with pytest.raises(ConnectionRefusedError):
        loop.connect(Peer())
