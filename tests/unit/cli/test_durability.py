"""P4: `status` says whether the state outlives a restart."""

from pathlib import PurePath

import pytest

from deltawire.cli.supervisor.durability import is_durable, read_mounts

MOUNTS = """\
overlay / overlay rw 0 0
/dev/vda1 /var/lib/deltawire ext4 rw 0 0
tmpfs /tmp tmpfs rw 0 0
/dev/vdb /with\\040blank ext4 rw 0 0
/dev/vdc /covered ext4 rw 0 0
tmpfs /covered tmpfs rw 0 0
broken
"""


@pytest.mark.parametrize(
    ("folder", "durable"),
    [
        ("/state", False),
        ("/var/lib/deltawire", True),
        ("/var/lib/deltawire/x/y", True),
        ("/var/lib/deltawire-other", False),
        ("/tmp/x", False),
        ("/with blank/x", True),
        ("/covered/x", False),
    ],
)
def test_the_closest_mount_decides(folder: str, durable: bool) -> None:
    assert is_durable(PurePath(folder), MOUNTS) is durable


def test_what_cannot_be_known_is_not_called_lost() -> None:
    assert is_durable(PurePath("/state"), "")


def test_the_mounts_of_this_machine_can_be_read() -> None:
    assert isinstance(is_durable(PurePath("/"), read_mounts()), bool)
