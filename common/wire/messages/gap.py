"""The reasons of a lost history (`group.Gap`)."""

from typing import Literal

Reason = Literal["relist", "forgotten"]
