"""Which configuration is taken: explicit kubeconfig or context, then the pod's own, then the home file.

``$KUBECONFIG`` counts as explicit: somebody set it for this process. client-go differs between its two
entry points here (semantics §24.13-14); one order is enough.
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
    home_file = (home or Path.home()) / ".kube" / "config"
    listed = [Path(name).expanduser() for name in env.get("KUBECONFIG", "").split(os.pathsep) if name]
    if kubeconfig:
        found, source = _read([Path(kubeconfig).expanduser()]), f"the given kubeconfig {kubeconfig}"
        why = "a given kubeconfig comes before everything else"
    elif listed:
        found = _read(listed)
        source = f"$KUBECONFIG ({os.pathsep.join(str(file) for file in found.files)})"
        why = "no kubeconfig is given, and $KUBECONFIG is set"
    elif context:
        found, source = _read([home_file]), str(home_file)
        why = "a context is given, and neither a kubeconfig nor $KUBECONFIG"
    elif pod.is_possible(env, service_account):
        return _with_overrides(
            pod.in_cluster(env, namespace=namespace or "", folder=service_account), overrides
        )
    else:
        if not home_file.exists():
            raise ConfigError(
                f"no cluster to talk to: no kubeconfig is given, $KUBECONFIG is not set, this is not a pod "
                f"with a service account, and there is no {home_file}",
                hint="give a kubeconfig, or try the embedded API server with --embedded",
            )
        found, source = _read([home_file]), str(home_file)
        why = "nothing is given, $KUBECONFIG is not set, and this is no pod with a service account"
    return effective(
        found, source=source, why=why, context=context or "", namespace=namespace or "", overrides=overrides
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
    """The files merged; missing ones are skipped as long as one is there (semantics §24.2)."""
    configs = []
    for path in dict.fromkeys(paths):
        try:
            configs.append(files.read(path))
        except FileNotFoundError:
            continue
    if not configs:
        raise ConfigError(f"there is no kubeconfig {' nor '.join(str(path) for path in paths)}")
    return files.merge(configs)
