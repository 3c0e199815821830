"""ZeroMQ sockets with the options of docs/wire.md §1. The only place that sets them."""

import contextlib
import errno
import fcntl
import logging
import os
from pathlib import Path
from typing import IO, NamedTuple

import zmq
from zmq import zmq_poll

from deltawire.common.clock import Clock
from deltawire.common.errors import ConfigError
from deltawire.common.limits import FRAME_BYTES_MAX, SOCKET_MESSAGES_MAX
from deltawire.common.wire.guard import Guard
from deltawire.common.wire.network import TCP, Network, network_of

log = logging.getLogger(__name__)

# A unix socket's path ends at 107 bytes; libzmq reports a longer one badly.
_IPC_PATH_BYTES_MAX = 107
# After a connection has ended all peers are tried for so long.
_PROBE_S = 0.3


def _common(socket: zmq.Socket[bytes]) -> None:
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.MAXMSGSIZE, FRAME_BYTES_MAX)
    socket.setsockopt(zmq.SNDHWM, SOCKET_MESSAGES_MAX)
    socket.setsockopt(zmq.RCVHWM, SOCKET_MESSAGES_MAX)
    # No heartbeats of ZMTP's own: libzmq 4.3.5 aborts the process (`!_io_error`) when one is due for a connection whose
    # peer filled our queue and left. Ours (`heartbeat`) find dead hosts as well, and hung processes besides.
    socket.setsockopt(zmq.HEARTBEAT_IVL, 0)


# Plain numbers: an operation on zmq's enums costs as much as asking the socket.
_POLLIN = int(zmq.POLLIN)
NOBLOCK, SNDMORE = int(zmq.NOBLOCK), int(zmq.NOBLOCK | zmq.SNDMORE)


def has_message(socket: zmq.Socket[bytes]) -> bool:
    """True if a message can be received now. Asking costs a quarter of the exception that says no.

    A poll costs 1.3 µs, the option EVENTS 2.3: pyzmq makes an enum of each option's number.
    """
    return bool(zmq_poll([(socket, _POLLIN)], 0))


def send_followed(socket: zmq.Socket[bytes], identity: bytes, data: bytes) -> zmq.MessageTracker:
    """Send to a peer of a ROUTER; the answer says when the data has left the socket, or was dropped with its
    connection. Raises zmq.Again where it is full, ZMQError where the peer is not there."""
    socket.send(identity, SNDMORE)
    frame = zmq.Frame(data, track=True, copy=False)
    socket.send(frame, NOBLOCK, copy=False)
    tracker: zmq.MessageTracker = frame.tracker
    return tracker


class Ends:
    """Sees that a connection of a bound socket has ended, not whose it was."""

    def __init__(self, socket: zmq.Socket[bytes]) -> None:
        self._socket = socket
        self._ends: zmq.Socket[bytes] = socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        self._until_s = 0.0

    def were_seen(self, now_s: float) -> bool:
        """True for `_PROBE_S` after a connection has ended: libzmq reports the end before a send fails."""
        while has_message(self._ends):
            self._ends.recv_multipart(NOBLOCK)
            self._until_s = now_s + _PROBE_S
        return now_s < self._until_s

    def close(self) -> None:
        self._socket.disable_monitor()
        self._ends.close(linger=0)


def connect(context: zmq.Context[zmq.Socket[bytes]], endpoint: str, identity: bytes) -> zmq.Socket[bytes]:
    """A DEALER connected to ``endpoint``; the peer need not be there yet."""
    socket = context.socket(zmq.DEALER)
    _common(socket)
    socket.setsockopt(zmq.IDENTITY, identity)
    # A killed peer is usually back within a second; do not wait longer and longer for it.
    socket.setsockopt(zmq.RECONNECT_IVL, 20)
    socket.setsockopt(zmq.RECONNECT_IVL_MAX, 500)
    network = network_of(context)
    if network is not None and endpoint.startswith(TCP):
        network.prepare_connect(socket, endpoint)
    socket.connect(endpoint)
    return socket


def connect_again(
    context: zmq.Context[zmq.Socket[bytes]],
    socket: zmq.Socket[bytes],
    endpoint: str,
    identity: bytes,
    attempt: int,
) -> None:
    """Make a DEALER's connection anew, with the keys of now; what was on its way is lost. Raises ConfigError."""
    network = network_of(context)
    if network is not None:
        network.prepare_connect(socket, endpoint, attempt)
    with contextlib.suppress(zmq.ZMQError):
        # libzmq gives a connection up whose key was refused.
        socket.disconnect(endpoint)
    socket.setsockopt(zmq.IDENTITY, identity)
    socket.connect(endpoint)


class Bound(NamedTuple):
    """A ROUTER that is bound; the lock file of a unix socket; the guard of one on TCP with keys."""

    socket: zmq.Socket[bytes]
    lock: IO[str] | None
    guard: Guard | None


def bind(context: zmq.Context[zmq.Socket[bytes]], endpoint: str, clock: Clock) -> Bound:
    """A ROUTER bound to ``endpoint``.

    Raises ConfigError if another process holds the endpoint, or a key is missing.
    """
    lock = _lock(endpoint) if endpoint.startswith("ipc://") else None
    socket = context.socket(zmq.ROUTER)
    _common(socket)
    socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
    # A process that stood still (stopped, suspended) may find its peers connected a second time before it learns
    # that their first connections have ended. Without this it would get nothing from them any more.
    socket.setsockopt(zmq.ROUTER_HANDOVER, 1)
    network = network_of(context)
    guard = None
    try:
        if network is not None and endpoint.startswith(TCP):
            guard = network.prepare_bind(context, socket, endpoint, clock)
            socket.bind(network.address_to_bind(endpoint))
        else:
            socket.bind(endpoint)
    except ConfigError:
        socket.close()
        raise
    except zmq.ZMQError as error:
        socket.close()
        if lock:
            lock.close()
        raise _cannot_listen(endpoint, network, error) from None
    return Bound(socket, lock, guard)


def _cannot_listen(endpoint: str, network: Network | None, error: zmq.ZMQError) -> ConfigError:
    if network is None or not endpoint.startswith(TCP):
        return ConfigError(
            f"cannot listen on {endpoint}: {error.strerror}", hint="choose another runtime.dir"
        )
    reason, hint = error.strerror, "choose another address"
    if error.errno == errno.EADDRINUSE:
        reason, hint = "another socket does", "choose another port"
    elif error.errno in (errno.ENODEV, errno.EADDRNOTAVAIL):
        reason = "it is no address of this host"
        hint = "set network.listen to one, or to 0.0.0.0"
    address, name = network.address_to_bind(endpoint), network.name_of(endpoint)
    return ConfigError(f"cannot listen on {address}: {reason}", path=f"network.endpoints.{name}", hint=hint)


def unbind(context: zmq.Context[zmq.Socket[bytes]], socket: zmq.Socket[bytes], endpoint: str) -> None:
    """End all connections of a ROUTER on TCP."""
    network = network_of(context)
    if network is not None:
        socket.unbind(network.address_to_bind(endpoint))


def bind_again(context: zmq.Context[zmq.Socket[bytes]], socket: zmq.Socket[bytes], endpoint: str) -> bool:
    """Bind it with the key of now, the former one where that cannot be read; False where it cannot be bound yet, since
    what was there is still being closed.
    """
    network = network_of(context)
    if network is None:
        return True
    try:
        network.take_key(socket)
    except ConfigError as error:
        log.error("%s: its own key is as before: %s", endpoint, error)
    try:
        socket.bind(network.address_to_bind(endpoint))
    except zmq.ZMQError as error:
        log.debug("%s cannot be bound yet: %s", endpoint, error)
        return False
    return True


def _lock(endpoint: str) -> IO[str]:
    path = Path(endpoint.removeprefix("ipc://"))
    if len(os.fsencode(path)) > _IPC_PATH_BYTES_MAX:
        raise ConfigError(
            f"the socket path {path} is longer than {_IPC_PATH_BYTES_MAX} bytes",
            hint="set a shorter runtime.dir",
        )
    # A second bind of a unix socket succeeds and steals the path: only the lock's holder may bind.
    lock = Path(f"{path}.lock").open("w")  # noqa: SIM115  # held for as long as the socket is bound
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise ConfigError(
            f"{path} is in use by another Deltawire process", hint="stop it, or set another runtime.dir"
        ) from None
    return lock
