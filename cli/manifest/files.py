"""What a deployment takes from files here: keys, and the code of handlers."""

from pathlib import Path

from deltawire.cli.keys import make, owners_of
from deltawire.common.config.plan import Plan
from deltawire.common.errors import ConfigError
from deltawire.common.wire.keys import KeyFolder, format_allowed

# A ConfigMap holds 1 MiB in all.
CODE_BYTES_MAX = 900_000


def secrets_of(plan: Plan, folder: Path) -> tuple[str, dict[str, str]]:
    """The list of keys, and each owner's file. What is missing is made. Raises ConfigError."""
    keys = KeyFolder(folder)
    owners = list(owners_of(plan))
    make(keys, owners)
    found = {owner: keys.secret(owner) for owner in owners}
    return format_allowed(keys.allowed()), {owner: f"{p.public}\n{p.secret}\n" for owner, p in found.items()}


def code_of(plan: Plan) -> dict[str, tuple[str, str]]:
    """Of each handler whose ``run`` is a file here: its name and content. Others are in the image.

    Raises ConfigError.
    """
    found = {}
    for name, handler in plan.handlers.items():
        path = _file_of(handler.options.run)
        if path is None:
            continue
        try:
            text = path.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"cannot read {path}: {error}") from None
        if len(text.encode()) > CODE_BYTES_MAX:
            raise ConfigError(
                f"{path} is larger than {CODE_BYTES_MAX} bytes, more than a ConfigMap holds",
                hint="put it into the image, and name its place there",
            )
        found[name] = (path.name, text)
    return found


def _file_of(run: str | None) -> Path | None:
    """The file that ``path.py`` or ``path.py:name`` means, if it is here."""
    if run is None or ".py" not in run:
        return None
    path = Path(run.partition(".py")[0] + ".py")
    return path if path.is_file() else None
