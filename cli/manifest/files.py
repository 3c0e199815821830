"""What a deployment takes from files here: keys, and the code of handlers."""

import ast
from collections.abc import Iterator
from pathlib import Path

from deltawire.cli.keys import make, owners_of
from deltawire.cli.manifest.names import check_file
from deltawire.common.config.plan import Plan
from deltawire.common.errors import ConfigError
from deltawire.common.wire.keys import KeyFolder, format_allowed

# A ConfigMap holds 1 MiB in all.
CODE_BYTES_MAX = 900_000


def secrets_of(plan: Plan, folder: Path, *, wants_secrets: bool = True) -> tuple[str, dict[str, str] | None]:
    """The list of keys, and each owner's file. What is missing is made. Raises ConfigError.

    Without secrets, None instead of files: the secrets of the keys that are allowed may be elsewhere.
    """
    keys = KeyFolder(folder)
    owners = list(owners_of(plan))
    if not wants_secrets:
        known = {entry.owner for entry in keys.allowed()}
        make(keys, [owner for owner in owners if owner not in known])
        return format_allowed(keys.allowed()), None
    make(keys, owners)
    found = {owner: keys.secret(owner) for owner in owners}
    return format_allowed(keys.allowed()), {owner: f"{p.public}\n{p.secret}\n" for owner, p in found.items()}


def code_of(plan: Plan) -> dict[str, tuple[str, str]]:
    """Of each handler whose ``run`` is a file here: its name and content. Others are in the image.

    Raises ConfigError.
    """
    found = {}
    for name, handler in plan.handlers.items():
        path = Path(file_and_name(handler.options.run)[0])
        if not path.is_file():
            continue
        check_file(path.name)
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


def neighbours_of(plan: Plan) -> Iterator[tuple[str, str]]:
    """(file, module) for what handlers' files import that is beside them here: a ConfigMap holds one file."""
    for handler in plan.handlers.values():
        path = Path(file_and_name(handler.options.run)[0])
        if path.is_file():
            for module in sorted(_imported(path)):
                if (path.parent / f"{module}.py").is_file() or (
                    path.parent / module / "__init__.py"
                ).is_file():
                    yield path.name, module


def file_and_name(run: str | None) -> tuple[str, str]:
    """``path.py:name`` → its two parts; the first is "" where no file is meant."""
    if run is None:
        return "", ""
    if run.endswith(".py"):
        return run, ""
    head, mark, name = run.rpartition(".py:")
    return (f"{head}.py", name) if mark else ("", "")


def _imported(path: Path) -> set[str]:
    """The first words of all modules that a file imports; none where it cannot be read as Python."""
    found = set()
    try:
        nodes = ast.walk(ast.parse(path.read_bytes()))
    except (OSError, SyntaxError, ValueError):
        return set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found
