"""Which exec plug-ins may be run at all, by who uses the kubeconfig and not by who wrote it."""

import os
import shutil
from pathlib import Path

from deltawire.common.errors import ConfigError


def check_allowed(command: str, allowed: tuple[str, ...] | None, where: str) -> None:
    """Raises ConfigError if ``command`` is not among the ``allowed``: names as written, or absolute paths.

    None allows all, () none. An entry that is a name allows a command of just that name; an absolute path allows
    whatever the search path finds there.
    """
    if allowed is None:
        return
    for entry in allowed:
        if not entry or entry != os.path.normpath(entry):
            raise ConfigError(
                f"exec_allowed: {entry!r} is no plain name or path",
                hint="without '..', '.' or a slash at the end",
            )
    found = shutil.which(command)
    if command in allowed or (found is not None and str(Path(found).absolute()) in allowed):
        return
    raise ConfigError(
        f"the exec plug-in {command!r} is not allowed",
        path=where,
        hint=f"allowed: {', '.join(allowed)}" if allowed else "no exec plug-in is (exec_allowed)",
    )
