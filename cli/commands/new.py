"""``deltawire new``: the files of a handler of one's own, to begin with."""

import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Write the files of a handler to begin with.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Its name: lower case letters, digits and '-'.")]
FolderOption = Annotated[
    Path | None, typer.Option("--dir", metavar="DIR", help="Where to; by default a folder of the name, here.")
]


@app.callback()
def _root() -> None:
    """Write the files of a handler to begin with: code, test, manifests, README."""


def handler(name: NameArgument, folder: FolderOption = None) -> int:
    """A handler with functions for changes (`on_add`, `on_delete`)."""
    from deltawire.cli.scaffold import files

    return _write(files.handler(name), folder or Path(name), name)


def controller(
    name: NameArgument,
    crd: Annotated[bool, typer.Option("--crd", help="Of a custom resource of its own, with its definition.")] = False,
    folder: FolderOption = None,
) -> int:
    """A handler with a reconcile function, which makes the cluster as an object says."""
    from deltawire.cli.scaffold import files

    return _write(files.controller(name, crd=crd), folder or Path(name), name)


def _write(files: dict[str, str], folder: Path, name: str) -> int:
    from deltawire.common.errors import ConfigError

    there = [path for path in files if (folder / path).exists()]
    if there:
        raise ConfigError(f"{folder / there[0]} is there already", hint="name another folder with --dir")
    for path, text in files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        sys.stdout.write(f"{file}\n")
    sys.stdout.write(f"try it: cd {folder} && python -m pytest; README.md says more about {name}\n")
    return 0
