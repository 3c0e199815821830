"""Why a group is told of changes that nobody can tell any more (`group.Gap`)."""

from typing import Literal

Reason = Literal["relist", "forgotten"]
