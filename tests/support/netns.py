"""Hosts of a test's own: network namespaces that are joined by one router, in which packets of a pair can vanish.

A host has an address, processes and a /proc of its own. It lives as long as a `cat` that reads from this process:
whatever ends this process, also SIGKILL, ends all that runs on the hosts, and the kernel takes the namespaces away.
Nothing has a name that another run on the machine could have, too, and nothing touches the machine's own network.

A cut is a rule of the router: it forwards nothing between two hosts, or nothing one way, and answers nothing. Neither
end learns of it, as where a cable is pulled out or a firewall drops packets. Loss and delay are made by `slow_link`: no
module of the kernel is needed for them. Needs root, iproute2 and util-linux.
"""

import ctypes
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import pytest

# Where CI says that it must be possible (.ci/run), a machine without the rights is a failure and no skip.
REQUIRED = "DELTAWIRE_NETNS_REQUIRED"
_ISOLATED = ["unshare", "--net", "--pid", "--mount", "--fork", "--kill-child", "--mount-proc"]
# What is done in them: links, cuts, the router, slow links.
_NEEDED = (
    "ip link add near type veth peer name far; ip rule add from 10.77.0.0/16 blackhole; "
    "echo 1 > /proc/sys/net/ipv4/ip_forward; ip tuntap add dev slow mode tun"
)
_CLONE_NEWNET = 0x40000000
_SLOW_LINK = Path(__file__).with_name("slow_link.py")


def require() -> None:
    """Skip the test where namespaces cannot be made; fail it where the environment says `REQUIRED`."""
    reason = _why_not()
    if reason and os.environ.get(REQUIRED):
        pytest.fail(f"{REQUIRED} is set, and {reason}")
    if reason:
        pytest.skip(reason)


def _why_not() -> str:
    missing = [tool for tool in ("ip", "unshare", "nsenter", "mount") if shutil.which(tool) is None]
    if missing:
        return f"{', '.join(missing)} is missing (iproute2, util-linux)"
    if os.geteuid() != 0:
        return "only root can make network namespaces"
    tried = subprocess.run([*_ISOLATED, "sh", "-ec", _NEEDED], capture_output=True, text=True, check=False)
    return f"no network namespace can be made: {tried.stderr.strip()}" if tried.returncode else ""


class Space:
    """Namespaces: of the network, of processes, of mounts."""

    def __init__(self) -> None:
        self._holder = subprocess.Popen(
            [*_ISOLATED, "sh", "-c", "echo here; exec cat"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        assert self._holder.stdout
        assert self._holder.stdout.readline() == b"here\n", "no namespace was made"
        task = Path(f"/proc/{self._holder.pid}/task/{self._holder.pid}/children")
        self.pid = int(task.read_text().split()[0])
        self.net("ip", "link", "set", "lo", "up")

    def net(self, *argv: str) -> str:
        """Run a command in the network alone; pids and files are those of the machine."""
        done = subprocess.run(
            ["nsenter", "--target", str(self.pid), "--net", *argv],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{argv}: {done.stderr}"
        return done.stdout

    def command(self, *argv: str) -> list[str]:
        """The command line that runs ``argv`` here; with paths from the root, since the folder is ``/``."""
        return ["nsenter", "--target", str(self.pid), "--net", "--pid", "--mount", *argv]

    def start(self, argv: Sequence[str], log: IO[bytes]) -> "subprocess.Popen[bytes]":
        """A process here, in a group of its own: `os.killpg` reaches it."""
        return subprocess.Popen(self.command(*argv), stdout=log, stderr=log, start_new_session=True)

    def do(self, work: Callable[[], Any]) -> Any:
        """What ``work`` returns or raises; what it connects to is reached from here. It runs in a thread."""
        outcome: list[Any] = []

        def enter() -> None:
            try:
                with open(f"/proc/{self.pid}/ns/net") as space:
                    if ctypes.CDLL(None, use_errno=True).setns(space.fileno(), _CLONE_NEWNET):
                        raise OSError(ctypes.get_errno(), "setns")
                outcome.extend((work(), None))
            except BaseException as error:  # raised again by who waits
                outcome.extend((None, error))

        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
        value, error = outcome
        if error is not None:
            raise error
        return value

    def end(self) -> None:
        """End all that runs here; the namespaces go with it."""
        # `cat` is the first process of its namespace: the kernel ends the others with it, and `unshare` ends last.
        assert self._holder.stdin
        assert self._holder.stdout
        self._holder.stdin.close()
        self._holder.wait()
        self._holder.stdout.close()


class Host(Space):
    """Made by `Hosts.add`. ``address``: where others reach it."""

    def __init__(self, name: str, number: int, address: str, hosts_file: Path) -> None:
        super().__init__()
        self.name = name
        self.number = number
        self.address = address
        self.link: subprocess.Popen[bytes] | None = None
        done = subprocess.run(self.command("mount", "--bind", str(hosts_file), "/etc/hosts"), check=False)
        assert done.returncode == 0


class Hosts:
    """Hosts by name, which reach each other by address, and by name. Use as a context manager.

    ``folder`` takes the file of names. Addresses are ``10.77.<number>.<n>``.
    """

    def __init__(self, folder: Path) -> None:
        self._names = folder / "hosts"
        self._hosts: dict[str, Host] = {}
        self._cuts: dict[tuple[str, str], list[tuple[str, str]]] = {}

    def __enter__(self) -> Self:
        self._router = Space()
        # With the router's own /proc: the machine's may be for reading only.
        forwards = "echo 1 > /proc/sys/net/ipv4/ip_forward"
        subprocess.run(self._router.command("sh", "-c", forwards), check=True)
        self._names.write_text("127.0.0.1 localhost\n")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        for host in self._hosts.values():
            _end_link(host)
            host.end()
        self._router.end()

    def __getitem__(self, name: str) -> Host:
        return self._hosts[name]

    @property
    def router_pid(self) -> int:
        return self._router.pid

    def add(self, name: str, *, slow: bool = False) -> Host:
        """A new host. ``slow``: its link can lose and delay packets (`impair`)."""
        number = len(self._hosts) + 1
        host = Host(name, number, f"10.77.{number}.2", self._names)
        self._hosts[name] = host
        self._connect(host, slow=slow)
        self._write_names()
        return host

    def lose(self, name: str) -> None:
        """The host vanishes with all that runs there; nobody who was connected with it hears of it."""
        host = self._hosts[name]
        # Nothing that its processes' ends would tell gets out. The link of a namespace that ends is there for a while.
        if host.link is None:
            self._router.net("ip", "link", "del", f"to{host.number}")
        _end_link(host)
        host.end()

    def add_again(self, name: str) -> Host:
        """A lost host comes back with the same address, and knows nothing of its former connections."""
        former = self._hosts[name]
        host = Host(name, former.number, former.address, self._names)
        self._hosts[name] = host
        self._connect(host, slow=former.link is not None)
        return host

    def cut(self, one: str, other: str, *, one_way: bool = False) -> None:
        """From now on nothing gets from one host to the other, nor back, or only that way not."""
        self._cuts[one, other] = [(one, other)] if one_way else [(one, other), (other, one)]
        for ends in self._cuts[one, other]:
            self._router.net("ip", "rule", "add", *self._between(*ends))

    def heal(self, one: str, other: str) -> None:
        for ends in self._cuts.pop((one, other)):
            self._router.net("ip", "rule", "del", *self._between(*ends))

    def take_address(self, name: str) -> None:
        """The host has no address any more; what runs there is not told."""
        host = self._hosts[name]
        host.net("ip", "address", "flush", "dev", "up0")

    def give_address(self, name: str, address: str = "") -> None:
        """An address for a host without one: its former one, or another of its network, which its name is known by."""
        host = self._hosts[name]
        host.address = address or host.address
        self._address(host)
        self._write_names()

    def impair(self, name: str, *, loss: float = 0.0, delay_ms: float = 0.0) -> None:
        """Of what a slow host sends and gets, each packet is lost with this probability, else later by so much."""
        link = self._hosts[name].link
        assert link is not None
        assert link.stdin is not None
        link.stdin.write(f"{loss} {delay_ms / 1000}\n".encode())
        link.stdin.flush()

    def _connect(self, host: Host, *, slow: bool) -> None:
        router = f"to{host.number}"
        if slow:
            host.link = subprocess.Popen(
                [sys.executable, "-S", str(_SLOW_LINK), str(host.pid), "up0", str(self._router.pid), router],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
            )  # fmt: skip
            assert host.link.stdout
            assert host.link.stdout.readline() == b"linked\n", "no link was made"
        else:
            self._router.net(
                "ip", "link", "add", router, "type", "veth", "peer", "name", "up0", "netns", str(host.pid)
            )
        self._router.net("ip", "link", "set", router, "up")
        self._router.net("ip", "address", "add", f"10.77.{host.number}.1/24", "dev", router)
        host.net("ip", "link", "set", "up0", "up")
        self._address(host)

    def _address(self, host: Host) -> None:
        host.net("ip", "address", "add", f"{host.address}/24", "dev", "up0")
        host.net("ip", "route", "replace", "default", "via", f"10.77.{host.number}.1", "dev", "up0")

    def _between(self, source: str, target: str) -> list[str]:
        ends = (f"10.77.{self._hosts[name].number}.0/24" for name in (source, target))
        return ["from", next(ends), "to", next(ends), "blackhole"]

    def _write_names(self) -> None:
        """In place: each host has this very file for its own."""
        lines = ["127.0.0.1 localhost", *(f"{host.address} {name}" for name, host in self._hosts.items())]
        self._names.write_text("\n".join(lines) + "\n")


def _end_link(host: Host) -> None:
    if host.link is not None:
        host.link.kill()
        host.link.wait()
        for pipe in (host.link.stdin, host.link.stdout):
            assert pipe
            pipe.close()
