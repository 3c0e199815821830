"""Classes are made ready for decoding by one thread at a time: msgspec crashes the process where two do it at once."""

import subprocess
import sys

import pytest

SCRIPT = """
import sys, threading
from lightkube.models import apps_v1, batch_v1, core_v1
from deltawire.client.rest.decode import convert, decoder_of

sys.setswitchinterval(1e-6)
kinds = [core_v1.Pod, apps_v1.Deployment, core_v1.Pod, batch_v1.Job, apps_v1.StatefulSet, core_v1.Pod] * 2
at_once = threading.Barrier(len(kinds))
names = []

def work(kind):
    at_once.wait()
    names.append({use}.metadata.name)

threads = [threading.Thread(target=work, args=(kind,)) for kind in kinds]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert names == ["a"] * len(kinds), names
"""


@pytest.mark.parametrize(
    "use", ["""decoder_of(kind)(b'{"metadata": {"name": "a"}}')""", """convert({"metadata": {"name": "a"}}, kind)"""]
)
def test_threads_that_decode_objects_of_a_class_for_the_first_time_at_once_all_get_them(use: str) -> None:
    for _ in range(3):  # each process is one chance
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT.replace("{use}", use)],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
