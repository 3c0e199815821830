"""The folder for temporary files."""

import tempfile

from deltawire.common.errors import ConfigError


def temporary_folder() -> str:
    """$TMPDIR, or where such files lie on this system. Raises ConfigError where none can be written."""
    try:
        return tempfile.gettempdir()
    except FileNotFoundError:
        raise ConfigError(
            "no folder for temporary files can be written",
            path="TMPDIR",
            hint="set it to one that can, or mount one at /tmp (an emptyDir, a tmpfs)",
        ) from None
