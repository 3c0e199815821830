"""Folders of keys and contexts for tests of sockets on TCP."""

import socket
from collections.abc import Iterable
from pathlib import Path

import zmq

from deltawire.common.wire.keys import Allowed, KeyFolder, Secret, new_secret
from deltawire.common.wire.network import Network, WireContext


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def make_keys(folder: Path, owners: Iterable[str]) -> KeyFolder:
    """A secret for each owner, all of them allowed."""
    keys = KeyFolder(folder)
    entries = []
    for owner in owners:
        pair = new_secret()
        keys.keep_secret(owner, pair)
        entries.append(Allowed(owner, pair.public))
    keys.allow(entries)
    return keys


def keyed_context(keys: KeyFolder, owner: str, sockets: dict[str, str]) -> WireContext:
    """The context of a process of ``owner``; ``sockets``: address → socket."""
    context = WireContext()
    context.network = Network(sockets, "", keys, owner)
    return context


def raw_dealer(
    context: "zmq.Context[zmq.Socket[bytes]]",
    address: str,
    identity: bytes,
    *,
    pair: Secret | None = None,
    server_key: str = "",
) -> "zmq.Socket[bytes]":
    """A socket that keeps to no rules of ours; without ``pair`` it uses no CURVE at all."""
    made = context.socket(zmq.DEALER)
    made.setsockopt(zmq.LINGER, 0)
    made.setsockopt(zmq.IDENTITY, identity)
    if pair is not None:
        made.setsockopt(zmq.CURVE_PUBLICKEY, pair.public.encode())
        made.setsockopt(zmq.CURVE_SECRETKEY, pair.secret.encode())
        made.setsockopt(zmq.CURVE_SERVERKEY, server_key.encode())
    made.connect(address)
    return made
