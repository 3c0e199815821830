"""The embedded API server as a process that a benchmark tells what to do, one JSON line in, one out.

Everything it writes goes through the server's own core, in the server's event loop, as the writes of other clients do:
``put`` writes to the store alone (a version, a record encoded anew, an event in the window), ``update`` is a
client's PUT without its HTTP (all checks, defaults, comparison with what is stored). Between two turns of the event
loop there are ``turn`` writes.
"""

import asyncio
import json
import sys
import threading
import time
from pathlib import Path

from deltawire.apiserver.options import ApiServerOptions
from deltawire.apiserver.service import Service

POD = Path(__file__).resolve().parents[1] / "tests" / "vectors" / "pod-4k.json"
# A pod of 1 KiB is the one of 4.4 KB without these, and padded to that size.
LEFT_OUT = {
    "metadata": ("managedFields", "annotations"),
    "spec": ("volumes", "tolerations", "containers"),
    "status": ("conditions", "containerStatuses"),
}
SMALL_BYTES = 1024


def pod(number, kib):
    """A pod of 1 KiB or 4.4 KB as it would be stored, its name and uid made of ``number``."""
    tree = json.loads(POD.read_text())
    if kib == 1:
        for part, names in LEFT_OUT.items():
            for name in names:
                tree[part].pop(name, None)
        tree["spec"]["containers"] = [{"name": "web", "image": "web:1"}]
    meta = tree["metadata"]
    meta.update(name=f"web-{number:06d}", namespace="default", uid=f"00000000-0000-0000-0000-{number:012d}")
    meta.pop("resourceVersion", None)
    meta.setdefault("annotations", {})["bench/write"] = "000000000"
    if kib == 1:
        room = SMALL_BYTES - len(json.dumps(tree, separators=(",", ":"))) - len(',"resourceVersion":"000000"')
        meta["annotations"]["bench/write"] = "0" * max(9, room + 9)
    return tree


def memory_kib(field):
    """VmRSS, or VmHWM for its peak."""
    status = Path("/proc/self/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith(field)]
    return int(line.split()[1])


class Commands:
    """What can be asked of the server: every method is one command, its arguments the line's other fields."""

    def __init__(self, service):
        self.service = service
        self.core = service.core
        self.trees = []
        self.written = 0

    async def pods(self, count, kib):
        """Make so many pods through the API's create."""
        began = time.perf_counter()
        self.trees = []
        for number in range(count):
            tree = pod(number, kib)
            tree["metadata"].pop("uid")
            tree = self.core.create("pods", tree, "default").decode()
            tree["metadata"].pop("resourceVersion")
            self.trees.append(tree)
            if number % 256 == 0:
                await asyncio.sleep(0)
        return {"seconds": time.perf_counter() - began}

    async def load(self, count):
        """Make so many pods of 4.4 KB through the API's create, and keep nothing but what the server keeps."""
        template = json.dumps(pod(0, 4))
        spent = 0.0
        for number in range(count):
            tree = json.loads(template)
            tree["metadata"]["name"] = f"web-{number:06d}"
            began = time.perf_counter()
            self.core.create("pods", tree, "default")
            spent += time.perf_counter() - began
            if number % 256 == 0:
                await asyncio.sleep(0)
        return {"seconds": spent}

    async def write(self, how, count, turn):
        """So many updates of the pods in turn. ``seconds`` is the time inside the writes alone.

        ``cpu_s`` is what the process had used when the last was written, before its watches had their turn.
        """
        core, trees = self.core, self.trees
        pods = core.resource("pods")
        put, update, clock = core.store.put, core.update, time.perf_counter
        spent, began = 0.0, time.monotonic()
        for start in range(0, count, turn):
            entered = clock()
            for number in range(start, min(start + turn, count)):
                tree = trees[number % len(trees)]
                self.written += 1
                meta = tree["metadata"]
                mark = meta["annotations"]["bench/write"]
                meta["annotations"]["bench/write"] = f"{self.written:0{len(mark)}d}"
                if how == "put":
                    put(pods, tree)
                else:
                    update(pods, tree, meta["name"], "default")
            spent += clock() - entered
            ended, cpu_s = time.monotonic(), time.process_time()
            await asyncio.sleep(0)
        return {"seconds": spent, "began": began, "ended": ended, "cpu_s": cpu_s}

    async def version(self):
        return {"version": self.core.store.version}

    async def compact(self):
        self.core.compact()
        return {}

    async def cost(self):
        """CPU seconds of the process so far, its resident memory and the peak of that."""
        return {
            "cpu_s": time.process_time(),
            "rss_kib": memory_kib("VmRSS"),
            "peak_kib": memory_kib("VmHWM"),
            "watches": len(self.service.streams),
        }


async def serve():
    loop = asyncio.get_running_loop()
    service = Service(ApiServerOptions(window_events_max=1_000_000, window_bytes_max=4 << 30))
    await service.start()
    commands = Commands(service)
    stop = asyncio.Event()

    def read():
        for line in sys.stdin:
            asked = json.loads(line)
            name = asked.pop("do")
            answer = asyncio.run_coroutine_threadsafe(getattr(commands, name)(**asked), loop).result()
            print(json.dumps(answer), flush=True)
        loop.call_soon_threadsafe(stop.set)

    threading.Thread(target=read, daemon=True).start()
    print(json.dumps({"port": int(service.url.rpartition(":")[2])}), flush=True)
    await stop.wait()
    await service.stop()


if __name__ == "__main__":
    asyncio.run(serve())
