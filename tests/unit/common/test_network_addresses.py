"""Where sockets on TCP listen, and what is said where they cannot."""

import errno
import os
import resource
import socket
from collections.abc import Iterator
from typing import Any

import pytest
import zmq

from deltawire.common.clock import SystemClock
from deltawire.common.errors import ConfigError
from deltawire.common.parent import is_alive
from deltawire.common.wire import identity, sockets
from deltawire.common.wire.network import Network, WireContext
from tests.support.keyed import free_port, keyed_context, make_keys


@pytest.fixture
def contexts() -> Iterator[list[WireContext]]:
    made: list[WireContext] = []
    yield made
    for context in made:
        context.destroy(linger=0)


def context_of(made: list[WireContext], endpoint: str, listen: str = "") -> WireContext:
    made.append(WireContext())
    made[-1].network = Network({endpoint: "control"}, listen, None, "control")
    return made[-1]


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="this host has no IPv6")
@pytest.mark.parametrize("listen", ["", "::1", "[::1]", "::"])
def test_an_address_of_ipv6_is_bound_and_reached(contexts: list[WireContext], listen: str) -> None:
    endpoint = f"tcp://[::1]:{free_port()}"
    context = context_of(contexts, endpoint, listen)
    bound = sockets.bind(context, endpoint, SystemClock())
    other = sockets.connect(context, endpoint, b"other")
    other.send(b"hello")
    assert bound.socket.poll(20_000)
    assert bound.socket.recv_multipart() == [b"other", b"hello"]
    bound.socket.close()
    other.close()


def test_a_port_that_is_taken_is_named_with_its_field(contexts: list[WireContext]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        endpoint = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        says = r"network.endpoints.control: cannot listen on .* another socket does"
        with pytest.raises(ConfigError, match=says):
            sockets.bind(context_of(contexts, endpoint), endpoint, SystemClock())


@pytest.mark.parametrize("host", ["192.0.2.1", "core.invalid"])
def test_an_address_that_is_not_this_hosts_is_named_with_what_to_set(
    contexts: list[WireContext], host: str
) -> None:
    endpoint = f"tcp://{host}:{free_port()}"
    with pytest.raises(ConfigError, match=r"it is no address of this host .set network.listen"):
        sockets.bind(context_of(contexts, endpoint), endpoint, SystemClock())


def test_where_strangers_may_connect_files_are_as_many_as_the_hard_limit_allows(
    contexts: list[WireContext], tmp_path: Any
) -> None:
    """Who shows no key holds a descriptor for some seconds."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 256), hard))
        contexts.append(keyed_context(make_keys(tmp_path, ["control"]), "control", {endpoint: "control"}))
        sockets.bind(contexts[-1], endpoint, SystemClock()).socket.close()
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == hard
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_without_a_free_descriptor_nobody_is_taken_for_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    me = os.getpid()
    started = identity.process_started(me)

    def no_more(*_: object, **__: object) -> int:
        raise OSError(errno.EMFILE, "too many open files")

    assert identity.is_known_dead(me, started + 1, identity.host_id())
    with monkeypatch.context() as patch:
        patch.setattr("deltawire.common.wire.identity.os.open", no_more)
        assert not identity.is_known_dead(me, started, identity.host_id())
        assert is_alive(f"{me}:{started}")


def test_an_address_is_looked_up_by_its_name(contexts: list[WireContext]) -> None:
    endpoint = f"tcp://localhost:{free_port()}"
    context = context_of(contexts, endpoint, "127.0.0.1")
    bound = sockets.bind(context, endpoint, SystemClock())
    other = sockets.connect(context, endpoint, b"other")
    other.send(b"hello")
    assert bound.socket.poll(20_000) == zmq.POLLIN
    bound.socket.close()
    other.close()
