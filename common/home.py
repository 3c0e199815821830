"""The home folder, asked for only where something needs it.

In a container whose user has no entry in the password file (OpenShift picks such users) there may be none at all.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from deltawire.common.errors import ConfigError


def home_folder(env: Mapping[str, str] | None = None) -> Path:
    """$HOME of ``env`` (default: our own), else what the password file says. Raises ConfigError where neither does."""
    named = (os.environ if env is None else env).get("HOME", "")
    if named:
        return Path(named)
    try:
        import pwd  # not on every platform

        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except (ImportError, AttributeError, KeyError):
        raise ConfigError(
            "no home folder is known: $HOME is not set and this user is not in the password file",
            hint="set HOME, or give a whole path",
        ) from None


def expanded(path: str, *, where: str = "", env: Mapping[str, str] | None = None) -> Path:
    """``path`` with a leading ``~`` or ``~user`` replaced by that home folder.

    Raises ConfigError, with ``where`` as its place, for a home folder that is not known; no other path needs one.
    """
    head, slash, rest = path.partition("/")
    if not head.startswith("~"):
        return Path(path)
    try:
        home = home_folder(env) if head == "~" else Path(head).expanduser()
    except ConfigError as error:
        raise ConfigError(f"{path!r}: {error.message}", path=where, hint=error.hint) from None
    except RuntimeError:
        raise ConfigError(f"the home folder in {path!r} is not known", path=where) from None
    return home / rest if slash else home
