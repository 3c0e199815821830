"""Which files are written for a name, and what is in them. Pure."""

import keyword
import re
import sys
from string import Template

from deltawire.cli.scaffold import texts
from deltawire.common.errors import ConfigError

GROUP = "example.com"
# What a test beside the handler imports.
_NOT_OURS = frozenset({"deltawire", "pytest"})
_NAME = re.compile(r"[a-z]([a-z0-9-]{0,40}[a-z0-9])?")


def handler(name: str) -> dict[str, str]:
    """Text by path. Raises ConfigError for a name that no handler may have."""
    return _filled(
        name,
        {"{module}.py": texts.HANDLER, "test_{module}.py": texts.HANDLER_TEST, "rbac.yaml": texts.HANDLER_RBAC},
        texts.HANDLER_README,
    )


def controller(name: str, *, crd: bool) -> dict[str, str]:
    """As `handler`: a reconcile function. With ``crd`` of a custom resource of this name, else of ConfigMaps."""
    if not crd:
        files = {"{module}.py": texts.CONTROLLER, "test_{module}.py": texts.CONTROLLER_TEST}
        return _filled(name, {**files, "rbac.yaml": texts.CONTROLLER_RBAC}, texts.CONTROLLER_README)
    files = {
        "{module}.py": texts.CRD_CONTROLLER,
        "test_{module}.py": texts.CRD_TEST,
        "crds/{plural}.yaml": texts.CRD,
        "{module}.yaml": texts.CRD_OBJECT,
        "rbac.yaml": texts.CRD_RBAC,
    }
    return _filled(name, files, texts.CRD_README)


def _filled(name: str, files: dict[str, str], readme: str) -> dict[str, str]:
    words = _words(name)
    made = {path.format(**words): Template(text).substitute(words) for path, text in files.items()}
    return {**made, "README.md": Template(readme).substitute(words)}


def _words(name: str) -> dict[str, str]:
    if not _NAME.fullmatch(name):
        raise ConfigError(f"{name!r} is no name of a handler", hint="lower case letters, digits, '-': web-site")
    module = name.replace("-", "_")
    if module in sys.stdlib_module_names or module in _NOT_OURS or keyword.iskeyword(module):
        # Its test would import the other one.
        raise ConfigError(
            f"{name!r} is the name of another Python module", hint=f"take {name}-handler, for instance"
        )
    kind = "".join(part.capitalize() for part in name.split("-"))
    stem = kind.lower()
    if stem.endswith("y") and stem[-2:-1] not in "aeiou":
        plural = f"{stem[:-1]}ies"
    else:
        plural = f"{stem}es" if stem.endswith(("s", "x", "ch", "sh")) else f"{stem}s"
    return {"name": name, "module": module, "kind": kind, "singular": stem, "plural": plural, "group": GROUP}
