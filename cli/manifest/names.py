"""What a deployment cannot be made of, asked before anything is written. Names of objects: `rbac.object_name`. Pure.

https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
"""

import re

from deltawire.common.config.plan import Plan
from deltawire.common.errors import ConfigError

NAME_CHARS_MAX = 253
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?")
_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]*")
# Options of NATS that name files.
_NATS_FILES = ("credentials", "ca", "cert", "key")
_FILE = re.compile(r"[A-Za-z0-9._-]+")


def check_options(image: str, storage_class: str) -> None:
    """Raises ConfigError that names the option."""
    if not _IMAGE.fullmatch(image):
        raise ConfigError(f"{image!r} is no image", path="--image", hint="registry.example/deltawire:1")
    if storage_class and (not _NAME.fullmatch(storage_class) or len(storage_class) > NAME_CHARS_MAX):
        raise ConfigError(
            f"{storage_class!r} cannot be a storage class",
            path="--storage-class",
            hint="kubectl get storageclasses",
        )


def check_plan(plan: Plan) -> None:
    """Whether the config can run in one cluster as it is. Raises ConfigError with the field's path."""
    others = {informer.cluster for informer in plan.informers.values()} - {plan.first_cluster}
    if others:
        raise ConfigError(
            f"all runs in the first cluster, {plan.first_cluster!r}, and talks to that one; "
            f"{', '.join(sorted(others))} is watched as well",
            path="clusters",
            hint="make a config for each cluster",
        )
    for section, options in (("engine", plan.nats), ("archive", plan.config.archive)):
        for key in _NATS_FILES:
            if options is not None and getattr(options, key):
                raise ConfigError(
                    "no pod has this file: only handlers' code and the keys are taken along",
                    path=f"{section}.{key}",
                    hint="leave it out, and add the file and the option to the objects that are written",
                )


def check_file(name: str) -> None:
    """Whether a ConfigMap can hold a file of this name. Raises ConfigError."""
    if not _FILE.fullmatch(name) or len(name) > NAME_CHARS_MAX or name in {".", ".."}:
        raise ConfigError(
            f"a ConfigMap cannot hold a file named {name!r}", hint="letters, digits, '.', '_' and '-'"
        )
