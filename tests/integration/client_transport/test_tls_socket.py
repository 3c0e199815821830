"""TLS under a stream that one thread reads while others write."""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import trustme

from deltawire.client.transport.remote_command import run
from deltawire.client.transport.tls_socket import TlsSocket
from tests.integration.client_transport.test_remote_command import SUCCESS, says

HANDSHAKES = 120
MESSAGE = bytes(range(256)) * 1024  # more than one TLS record, more than one read


class OneAtATime:
    """Stands before OpenSSL's object and counts calls that begin while another one runs."""

    def __init__(self, tls: Any) -> None:
        self._tls = tls
        self._running = 0
        self.calls = 0
        self.overlaps = 0

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any) -> Any:
            self.calls += 1
            self.overlaps += self._running
            self._running += 1
            try:
                time.sleep(0)  # another thread that may run does
                return getattr(self._tls, name)(*arguments)
            finally:
                self._running -= 1

        return call


@contextlib.contextmanager
def echoing(authority: trustme.CA) -> Iterator[tuple[str, int]]:
    """A server that sends one client's bytes back until it says no more, then says goodbye."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("inner").configure_cert(context)

    def serve(listener: socket.socket) -> None:
        with (
            contextlib.suppress(OSError),
            context.wrap_socket(listener.accept()[0], server_side=True) as peer,
        ):
            while data := peer.recv(65536):
                peer.sendall(data)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        yield listener.getsockname()
        thread.join(10)


def connected(address: tuple[str, int], authority: trustme.CA) -> TlsSocket:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(context)
    return TlsSocket(socket.create_connection(address), context, "inner")


def read(sock: TlsSocket, length: int) -> bytes:
    found = b""
    while len(found) < length:
        part = sock.recv(65536)
        assert part, f"ended after {len(found)} bytes"
        found += part
    return found


def test_what_is_written_while_another_thread_reads_comes_back_whole(authority: trustme.CA) -> None:
    with echoing(authority) as address:
        sock = connected(address, authority)
        counting: Any = OneAtATime(sock._tls)
        sock._tls = counting
        with ThreadPoolExecutor(1) as pool:
            back = pool.submit(read, sock, 8 * len(MESSAGE))
            for _ in range(8):
                sock.sendall(MESSAGE)
            assert back.result(20) == MESSAGE * 8
        sock.close()
    assert counting.calls > 16
    assert counting.overlaps == 0


def test_closing_ends_a_read_that_waits(authority: trustme.CA) -> None:
    with echoing(authority) as address:
        sock = connected(address, authority)
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(sock.recv, 1)
            time.sleep(0.05)  # it may wait by then, or not yet: it has to end in both cases
            sock.close()
            with contextlib.suppress(OSError):
                assert waiting.result(10) == b""


def test_an_end_without_goodbye_is_an_end(authority: trustme.CA) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("inner").configure_cert(context)

        def cut() -> None:
            peer = context.wrap_socket(listener.accept()[0], server_side=True)
            peer.sendall(b"the last words")
            socket.socket.close(peer)  # no close_notify

        cutting = pool.submit(cut)
        sock = connected(listener.getsockname(), authority)
        cutting.result(10)
        assert read(sock, 14) == b"the last words"
        assert sock.recv(1) == b""
        sock.close()


def test_no_handshake_is_lost_under_tls(kubelets: Any, client_of: Any, authority: trustme.CA) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("inner").configure_cert(context)
    kubelet = kubelets.start(says(SUCCESS), context=context)
    config = {"ca_data": authority.cert_pem.bytes(), "tls_server_name": "inner", "connect_timeout_s": 30.0}

    def command(_: int) -> int:
        return run(client_of(kubelet, **config), "ns", "p", ["true"]).exit_code

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(command, range(HANDSHAKES))) == {0}
