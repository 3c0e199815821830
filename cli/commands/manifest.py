"""``deltawire manifest``: the objects that run a config on Kubernetes."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from deltawire.cli.commands import options


def manifest(
    config: options.ConfigOption = None,
    image: Annotated[
        str, typer.Option("--image", metavar="IMAGE", help="Of all containers: built from the Dockerfile.")
    ] = "deltawire:latest",
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="Of the deployment.")] = "deltawire",
    namespace: Annotated[
        str, typer.Option("--namespace", "-n", metavar="NS", help="Where it runs.")
    ] = "deltawire",
    keys: Annotated[
        Path,
        typer.Option("--keys", metavar="DIR", help="The folder of keys; those that are missing are made."),
    ] = Path("keys"),
    without_secrets: Annotated[
        bool, typer.Option("--without-secrets", help="Leave the Secrets out: they are made in another way.")
    ] = False,
    size: Annotated[
        str,
        typer.Option(
            "--size",
            metavar="OBJECTS,BYTES,RATE",
            help="What to size for: objects, bytes of one, changes a second.",
        ),
    ] = "10000,4400,100",
    storage_class: Annotated[
        str, typer.Option("--storage-class", metavar="CLASS", help="Default: the cluster's.")
    ] = "",
    monitor: Annotated[
        bool, typer.Option("--monitor", help="With a PodMonitor and alerts for the Prometheus operator.")
    ] = False,
) -> int:
    """Print what runs the config on its first cluster, as YAML for `kubectl apply --server-side -f -`.

    The core is a StatefulSet with a volume, each handler a Deployment, with the smallest rights, keys for the
    connections between them, and a handler's file in a ConfigMap. Nothing is asked of a cluster. Exit code 2 if the
    config is wrong.
    """
    from deltawire.cli.config_source import effective, required
    from deltawire.cli.manifest.files import code_of, neighbours_of, secrets_of
    from deltawire.cli.manifest.names import check_options, check_plan
    from deltawire.cli.manifest.objects import objects
    from deltawire.cli.manifest.shape import NAME_CHARS_MAX, Shape
    from deltawire.cli.manifest.sizes import parse_size
    from deltawire.cli.manifest.text import document
    from deltawire.cli.rbac import object_name
    from deltawire.common.config.plan import Plan

    name = object_name(name, "--name", chars_max=NAME_CHARS_MAX)
    namespace = object_name(namespace, "--namespace")
    check_options(image, storage_class)
    sized = parse_size(size)
    plan = Plan(effective(required(config)))
    check_plan(plan)
    code = code_of(plan)
    allowed, secrets = secrets_of(plan, keys, wants_secrets=not without_secrets)
    shape = Shape(name, namespace, image, sized, storage_class, monitor, allowed, secrets, code)
    for obj in list(objects(plan, shape)):
        sys.stdout.write(document(obj))
    for file, module in neighbours_of(plan):
        sys.stderr.write(f"{file} imports {module}, a file beside it here: it must be in the image\n")
    if not without_secrets:
        sys.stderr.write(f"the output contains the secret keys of {keys}/: whoever reads it may connect\n")
    return 0
