"""On PYTHONPATH: the main loop of a role stands still while a file of its name exists; its other threads go on.

``STUCK_FOLDER/reflector-0`` and its like. Other programs are left alone.
"""

import os
import sys
import time
from pathlib import Path
from typing import Any

_ROLES = {
    "deltawire.reflector": "reflector",
    "deltawire.fifo": "",
    "deltawire.informer": "worker",
    "deltawire.handlers": "handler",
}
_argv = sys.orig_argv
_role = next((argument for argument in _argv if argument in _ROLES), "")


def _name() -> str:
    if _role == "deltawire.fifo":
        return "fifo"
    kind = _argv[_argv.index("--handler") + 1] if "--handler" in _argv else _ROLES[_role]
    return f"{kind}-{_argv[_argv.index('--index') + 1]}"


if _role and "--index" in _argv and "STUCK_FOLDER" in os.environ:
    from deltawire.common.loop import Loop

    _file = Path(os.environ["STUCK_FOLDER"]) / _name()
    # What a turn does, so that a loop which other threads may visit stands with its lock held, as it would.
    _act = Loop._act

    def _act_unless_stuck(self: Loop, *arguments: Any, **options: Any) -> None:
        while _file.exists():
            time.sleep(0.02)
        _act(self, *arguments, **options)

    Loop._act = _act_unless_stuck  # type: ignore[method-assign]
