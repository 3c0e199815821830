"""A line for each change."""

from log import handler

from deltawire.handlers.testing import Harness


def test_each_change_is_a_line(capsys):
    harness = Harness(handler)
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "namespace": "ns", "resourceVersion": "1"}}
    harness.apply(pod)
    harness.apply({**pod, "metadata": {**pod["metadata"], "resourceVersion": "2"}})
    harness.delete(pod)
    assert capsys.readouterr().out.splitlines() == [
        "added pods ns/a 1", "updated pods ns/a 2", "deleted pods ns/a 1",
    ]  # fmt: skip
