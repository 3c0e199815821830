"""Two builds of the project beside each other: this one, and one of the next version, made from a copy of it.

The next build speaks the next version of the wire, whose messages all have a field more; it writes the next schema,
to which it brings caches of the present one.
"""

import ast
import re
import shutil
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = ("apiserver", "cli", "client", "common", "fifo", "handlers", "informer", "jetstream", "reflector", "src")


def copy_of(folder: Path) -> Path:
    """This build, frozen; returns what PYTHONPATH must be to run it."""
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for room in ROOMS:
        shutil.copytree(ROOT / room, folder / room, symlinks=True, ignore=ignored)
    return folder / "src"


def next_build(folder: Path) -> Path:
    """As `copy_of`, of the next version."""
    path = copy_of(folder)
    _raise(folder / "common/wire/codec.py", "WIRE_VERSION")
    _raise(folder / "common/store/layout.py", "SCHEMA")
    for file in sorted((folder / "common/wire/messages").glob("*.py")):
        _append_field(file)
    migrate = folder / "informer/store/migrate.py"
    marked = "def upgrade(txn: Any, dbs: dict[bytes, Any], schema: int, newest: int) -> None:\n"
    body = '    txn.put(b"later", b"%d" % schema, db=dbs[layout.META])\n'
    text = migrate.read_text()
    assert text.count(marked) == 1
    documented = re.compile(re.escape(marked) + r'(    """.*?"""\n)', re.DOTALL)
    migrate.write_text(documented.sub(lambda found: found[0] + body, text))
    assert body in migrate.read_text()
    return path


def _raise(file: Path, name: str) -> None:
    """Raise the constant by one."""
    text, count = re.subn(rf"^({name} = )(\d+)$", lambda m: f"{m[1]}{int(m[2]) + 1}", file.read_text(), flags=re.M)
    assert count == 1, f"{file} has no {name}"
    file.write_text(text)


def _append_field(file: Path) -> None:
    """Each class of a message, or of a hello, gets one more field."""
    text = file.read_text()
    lines = text.splitlines(keepends=True)
    found = [
        node
        for node in ast.parse(text).body
        if isinstance(node, ast.ClassDef)
        and (node.name.endswith("Hello") or any(isinstance(b, ast.Name) and b.id == "Message" for b in node.bases))
    ]
    for node in reversed(found):
        lines.insert(node.end_lineno or 0, '    later: str = "later"\n')
    file.write_text("".join(lines))
