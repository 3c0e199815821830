"""Carries out a schedule on two hosts and their NATS servers, one action after the other, and notes each."""

import signal
from collections.abc import Callable, Sequence
from functools import partial

from deltawire.cli.chaos import processes
from deltawire.cli.chaos.action_log import ActionLog
from deltawire.cli.chaos.actions import Action, Kind
from deltawire.cli.chaos.acts import LOOK_S, Acts
from deltawire.cli.chaos.later import until_it_succeeds
from deltawire.cli.chaos.nats.cluster import SERVERS, Cluster
from deltawire.cli.chaos.nats.hosts import AGAIN_S, HOSTS, Hosts
from deltawire.cli.chaos.nats.schedule import SLOW_S
from deltawire.cli.chaos.nats.ways import Ways
from deltawire.cli.chaos.server import Server
from deltawire.cli.chaos.shape import Shape
from deltawire.common.clock import Clock


class NatsDriver(Acts):
    """Owns what happens to the API server, the NATS servers, the ways and the hosts; all were started before."""

    def __init__(
        self, server: Server, cluster: Cluster, ways: Ways, hosts: Hosts, log: ActionLog, clock: Clock
    ) -> None:
        super().__init__(server, log, clock)
        self._cluster, self._ways, self._hosts = cluster, ways, hosts
        # What each way is to be, newest last: the last one counts.
        self._set: dict[str, list[tuple[int, str, float]]] = {}
        self._serial = 0
        self._acts: dict[Kind, Callable[[Action], None]] = {
            Kind.KILL: self._kill,
            Kind.STOP: self._stop,
            Kind.KILL_ALL: self._kill_all,
            Kind.HOST_KILL: self._host_gone,
            Kind.HOST_LOSS: self._host_gone,
            Kind.NATS_KILL: self._nats_kill,
            Kind.NATS_KILL_ALL: self._nats_kill_all,
            Kind.NATS_STOP: self._nats_stop,
            Kind.NATS_WIPE: self._nats_wipe,
            Kind.PARTITION: self._partition,
            Kind.SERVER_KILL: self._server_kill,
            Kind.SERVER_STOP: self._server_stop,
            Kind.COMPACT_BEHIND: self._compact_behind,
            Kind.CUT: self._cut,
        }

    def run(self, actions: Sequence[Action], *, until_s: float) -> None:
        """All actions in turn, and the time until ``until_s`` after now; both later by what some actions wait for."""
        began_s = self._clock.now_s()
        for action in actions:
            self._wait(began_s + action.at_s)
            acts_s = self._clock.now_s()
            self._acts[action.kind](action)
            began_s += self._clock.now_s() - acts_s
            self.done[action.kind] = self.done.get(action.kind, 0) + 1
        self._wait(began_s + until_s)

    def finish(self) -> None:
        """Take back all that still lies still or is cut. Raises DeltawireError where that does not succeed."""
        self._hosts.up()
        self._all_well()

    def leave_nothing(self) -> None:
        self._hosts.close()
        self._cluster.end()
        self._ways.stop()

    def look_after(self) -> None:
        self._later.do()
        self._hosts.look_after()
        for number in self._cluster.died():
            self.complaints.append(("nats", f"nats-{number} has ended by itself: see its log"))
            self._cluster.start(number)

    def use(self, shape: Shape) -> None:
        """Write the configs; the judges learn of the groups and the scope."""
        self._hosts.write_config(shape)
        self._log.add("hosts", text="", hosts=HOSTS)
        self._log.add("shape", text="", groups={g.name: g.delivery for g in shape.groups})
        self._log.add("scope", text="", namespaces=shape.namespaces, selector=shape.selector)

    def _one(self, action: Action) -> tuple[str, int]:
        found = self._hosts.victims(action.target)
        return found[action.pick % len(found)] if found else ("", 0)

    def _kill(self, action: Action) -> None:
        name, pid = self._one(action)
        if not name:
            return
        what = "command of " if action.target == "command" else ""
        self._log.add(Kind.KILL, text=f"kill {what}{name} ({pid})", name=name, pid=pid, target=action.target)
        if what:
            processes.send(pid, signal.SIGKILL)
        else:
            self._hosts.kill(name)

    def _stop(self, action: Action) -> None:
        self._stop_process(action, *self._one(action))

    def _kill_all(self, action: Action) -> None:
        entry = self._log.add(Kind.KILL_ALL, text=f"kill all processes of both hosts, for {action.amount} s")
        self._hosts.kill_all()
        self._pause(action.amount)
        self._hosts.up()
        self._log.end(entry)

    def _pause(self, for_s: float) -> None:
        """As `_wait`, while the hosts' processes are down on purpose."""
        until_s = self._clock.now_s() + for_s
        while self._clock.now_s() < until_s:
            self._later.do()
            self._clock.sleep(LOOK_S)

    def _host_gone(self, action: Action) -> None:
        host, is_lost = action.pick % HOSTS, action.kind is Kind.HOST_LOSS
        disk = "with its disk" if is_lost else "and keeps its disk"
        text = f"host {host} is gone {disk}, for {action.amount} s"
        self._log.add(action.kind, text=text, host=host)
        self._hosts.kill_host(host, max(action.amount, AGAIN_S), is_disk_lost=is_lost)

    def _nats_kill(self, action: Action) -> None:
        number = action.pick % SERVERS
        entry = self._log.add(
            action.kind, text=f"kill nats-{number}, for {action.amount} s", name=f"nats-{number}"
        )
        self._cluster.kill(number)
        self._later.add(action.amount, f"start nats-{number}", partial(self._nats_back, [number], entry))

    def _nats_kill_all(self, action: Action) -> None:
        entry = self._log.add(action.kind, text=f"kill all NATS servers, for {action.amount} s")
        for number in range(SERVERS):
            self._cluster.kill(number)
        self._later.add(action.amount, "start NATS", partial(self._nats_back, range(SERVERS), entry))

    def _nats_back(self, numbers: Sequence[int], entry: dict[str, object]) -> bool:
        for number in numbers:
            self._cluster.start(number)
        self._log.end(entry)
        return True

    def _nats_stop(self, action: Action) -> None:
        number = action.pick % SERVERS
        if not self._cluster.stop(number):
            return
        text = f"nats-{number} stands still for {action.amount} s"
        entry = self._log.add(action.kind, text=text, name=f"nats-{number}")

        def go_on() -> bool:
            self._cluster.go_on(number)
            self._log.end(entry)
            return True

        self._later.add(action.amount, f"wake nats-{number}", go_on)

    def _nats_wipe(self, action: Action) -> None:
        """One at a time, and nothing else of NATS fails meanwhile: of two disks that are lost a majority would be."""
        self._all_well()
        number = action.pick % SERVERS
        entry = self._log.add(
            action.kind, text=f"nats-{number} is killed and loses its disk", name=f"nats-{number}"
        )
        self._cluster.kill(number)
        self._cluster.wipe(number)
        self._wait(self._clock.now_s() + action.amount)
        self._cluster.start(number)
        self._all_well()
        self._log.end(entry)

    def _all_well(self) -> None:
        """NATS has all of its servers, disks and ways; those are awaited that are away."""
        self._later.finish()
        self._cluster.wait_healthy(self.look_after)

    def _partition(self, action: Action) -> None:
        one, _, other = action.target.partition(">")
        ways = self._ways.between(one, other)
        low, high = SLOW_S
        delay_s = low + (high - low) * (action.pick / 1000) if action.mode == "slow" else 0.0
        mode = "free" if action.mode == "slow" else action.mode
        text = f"{action.target or one} is cut off ({action.mode}) for {action.amount} s"
        entry = self._log.add(action.kind, text=text, target=action.target, mode=action.mode)
        entry["until"] += action.amount
        self._serial += 1
        serial = self._serial
        for way in ways:
            self._set.setdefault(way, []).append((serial, mode, delay_s))
            self._ways.set(way, mode, delay_s)

        def go_on() -> bool:
            for way in ways:
                left = self._set[way] = [one for one in self._set[way] if one[0] != serial]
                _, mode, delay_s = left[-1] if left else (0, "free", 0.0)
                self._ways.set(way, mode, delay_s)
            self._log.end(entry)
            return True

        self._later.add(action.amount, f"free {action.target}", go_on)

    def _server_kill(self, action: Action) -> None:
        entry = self._log.add(action.kind, text=f"the API server is killed, for {action.amount} s")
        self._server.kill()
        self._wait(self._clock.now_s() + action.amount)
        self._server.start()
        self._log.end(entry)

    def _compact_behind(self, action: Action) -> None:
        entry = self._log.add(action.kind)
        for name, _ in self._hosts.victims("reflector"):
            self._hosts.kill(name)
        self._clock.sleep(0.1)
        until_it_succeeds(self._clock, "compact", lambda: self._server.admin("POST", "compact"))
        self._log.end(entry)

    def _cut(self, action: Action) -> None:
        self._log.add(action.kind)
        until_it_succeeds(self._clock, "cut", lambda: self._server.admin("POST", "cut"))
