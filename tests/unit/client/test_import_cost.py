import subprocess
import sys

import pytest

# Figures of time belong to bench/client.py; what is loaded, and how much memory it takes, is the same every time.
BASE = "import sys, requests, yaml\n"
ALL = BASE + (
    "import deltawire.client, deltawire.client.typed.clientset, deltawire.client.dynamic.dynamic_client\n"
    "import deltawire.client.metadata, deltawire.client.restmapper.deferred, deltawire.client.discovery.disk_cache\n"
)
TOP = "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
PEAK = "print(*[line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')])"
MEMORY_KIB_MAX = 8 * 1024


def output(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=50, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_the_clients_loads_no_library_that_is_not_needed_yet() -> None:
    loaded = set(output(ALL + TOP).split())
    known = set(output(BASE + TOP).split())
    foreign = {
        name for name in loaded - known if name not in sys.stdlib_module_names and not name.startswith("_")
    }
    assert foreign <= {"deltawire", "msgspec", "typing_extensions"}, foreign  # the last is msgspec's


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
def test_importing_the_clients_takes_little_memory() -> None:
    added_kib = int(output(ALL + PEAK)) - int(output(BASE + PEAK))
    assert added_kib <= MEMORY_KIB_MAX
