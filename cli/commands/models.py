"""``deltawire models``: classes for custom resources."""

import sys
from pathlib import Path
from typing import Annotated

import typer


def models(
    files: Annotated[list[Path], typer.Argument(metavar="CRD.yaml", help="Definitions of custom resources.")],
    version: Annotated[
        str, typer.Option("--version", metavar="V", help="Of this version; default: the one that is stored.")
    ] = "",
) -> int:
    """Print a Python module with a class for each custom resource, for handlers: `@handler.on_add(Website)`."""
    import yaml

    from deltawire.client.typed.custom import module_of
    from deltawire.common.errors import ConfigError

    found = []
    for file in files:
        try:
            documents = list(yaml.safe_load_all(file.read_bytes()))
        except OSError as error:
            raise ConfigError(f"cannot read {file}: {error.strerror}") from None
        except yaml.YAMLError as error:
            where = getattr(error, "problem_mark", None)
            line = f" line {where.line + 1}" if where else ""
            raise ConfigError(f"{file}{line} is not YAML: {getattr(error, 'problem', error)}") from None
        found += [d for d in documents if isinstance(d, dict) and d.get("kind") == "CustomResourceDefinition"]
    if not found:
        raise ConfigError(
            f"no CustomResourceDefinition in {', '.join(map(str, files))}",
            hint="kind: CustomResourceDefinition, of apiextensions.k8s.io/v1",
        )
    sys.stdout.write(module_of(found, version=version))
    return 0
