"""Which configuration is taken: explicit kubeconfig or context, then the pod's own, then the home file.

``$KUBECONFIG`` counts as explicit: somebody set it for this process. client-go differs between its two
entry points here; one order is enough.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from deltawire.client.config import in_cluster as pod
from deltawire.client.config import kubeconfig as files
from deltawire.client.config.client_config import ClientConfig
from deltawire.client.config.effective import effective
from deltawire.client.config.overrides import NO_OVERRIDES, Overrides
from deltawire.common.errors import ConfigError
from deltawire.common.home import expanded, home_folder


def load(
    *,
    kubeconfig: str | None = None,
    context: str | None = None,
    namespace: str | None = None,
    overrides: Overrides = NO_OVERRIDES,
    env: Mapping[str, str] | None = None,
    home: Path | None = None,
    service_account: Path = pod.SERVICE_ACCOUNT_DIR,
) -> ClientConfig:
    """The configuration to use; its ``source`` says which it is, ``why`` why. Raises ConfigError.

    ``kubeconfig`` is one file that must exist. ``env`` and ``home`` are the process' own by default.
    """
    env = os.environ if env is None else env
    if kubeconfig:
        found, source = _read([expanded(kubeconfig, env=env)]), f"the given kubeconfig {kubeconfig}"
        why = "a given kubeconfig comes before everything else"
    elif listed := [name for name in env.get("KUBECONFIG", "").split(os.pathsep) if name]:
        found = _read([expanded(name, where="$KUBECONFIG", env=env) for name in listed])
        source = f"$KUBECONFIG ({os.pathsep.join(str(file) for file in found.files)})"
        why = "no kubeconfig is given, and $KUBECONFIG is set"
    elif context:
        home_file = _home_file(home, env)
        found, source = _read([home_file]), str(home_file)
        why = "a context is given, and neither a kubeconfig nor $KUBECONFIG"
    elif pod.is_possible(env, service_account):
        return _with_overrides(
            pod.in_cluster(env, namespace=namespace or "", folder=service_account), overrides
        )
    else:
        found, source = _of_home(home, env)
        why = "nothing is given, $KUBECONFIG is not set, and this is no pod with a service account"
    return effective(
        found, source=source, why=why, context=context or "", namespace=namespace or "", overrides=overrides
    )


def _home_file(home: Path | None, env: Mapping[str, str]) -> Path:
    """The default path of the kubeconfig. Raises ConfigError where no home folder is known."""
    return (home or home_folder(env)) / ".kube" / "config"


def _of_home(home: Path | None, env: Mapping[str, str]) -> tuple[files.Kubeconfig, str]:
    """The home file where there is nothing else, and its name. The ConfigError says where was looked."""
    try:
        file = _home_file(home, env)
    except ConfigError as error:
        missing = error.message
    else:
        try:
            return files.read(file), str(file)
        except FileNotFoundError:
            missing = f"there is no {file}"
    raise ConfigError(
        f"no cluster to talk to: no kubeconfig is given, $KUBECONFIG is not set, this is not a pod "
        f"with a service account, and {missing}",
        hint="give a kubeconfig, or try the embedded API server with --embedded",
    )


def _with_overrides(config: ClientConfig, overrides: Overrides) -> ClientConfig:
    """A pod's configuration with what is said instead of it."""
    named = overrides.cluster or overrides.user
    if named:
        raise ConfigError(
            f"{named!r} names an entry of a kubeconfig, but {config.source} is used", hint="give a kubeconfig"
        )
    changes = overrides.on_identity(overrides.on_server({}))
    return replace(config, impersonate=overrides.impersonate, **changes)


def _read(paths: Sequence[Path]) -> files.Kubeconfig:
    """The files merged; missing ones are skipped as long as one is there."""
    configs = []
    for path in dict.fromkeys(paths):
        try:
            configs.append(files.read(path))
        except FileNotFoundError:
            continue
    if not configs:
        raise ConfigError(f"there is no kubeconfig {' nor '.join(str(path) for path in paths)}")
    return files.merge(configs)
