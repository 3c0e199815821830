"""From a kubeconfig's user to the fields of a ClientConfig that say who we are."""

from typing import Any

import msgspec

from deltawire.client.config.identity import (
    EXEC_API_VERSIONS,
    INTERACTIVE_MODES,
    NOBODY_ELSE,
    ExecPlugin,
    Impersonation,
    OidcProvider,
)
from deltawire.client.config.kubeconfig import ClusterEntry, Placed, UserEntry, decoded
from deltawire.client.config.removed_providers import replacement
from deltawire.common.errors import ConfigError

# The extension of a cluster that is meant for exec plug-ins.
EXEC_EXTENSION = "client.authentication.k8s.io/exec"


def credentials(user: Placed[UserEntry], name: str, cluster: Placed[ClusterEntry]) -> dict[str, Any]:
    """What proves who we are; only what is set. Raises ConfigError with the file and the field."""
    entry = user.entry
    if (entry.token or entry.token_file) and entry.username:
        raise ConfigError(
            f"the user {name!r} has both a token and a user name",
            path=user.where(),
            hint="keep one of the two",
        )
    if entry.exec is not None and entry.auth_provider is not None:
        raise ConfigError(
            f"the user {name!r} has both an exec plug-in and an auth-provider",
            path=user.where(),
            hint="keep one of the two",
        )
    cert_data = decoded(user, "client-certificate-data", entry.client_certificate_data)
    key_data = decoded(user, "client-key-data", entry.client_key_data)
    found = {
        "token": entry.token,
        "token_file": user.resolve(entry.token_file),
        "username": entry.username,
        "password": entry.password,
        "cert_data": cert_data,
        "cert_file": "" if cert_data else user.resolve(entry.client_certificate),
        "key_data": key_data,
        "key_file": "" if key_data else user.resolve(entry.client_key),
        "exec_plugin": _exec_plugin(user, cluster),
        "oidc": _oidc(user, name),
    }
    return {key: value for key, value in found.items() if value}


def impersonation(user: Placed[UserEntry]) -> Impersonation:
    """The user to impersonate. Raises ConfigError for its groups, uid or extra without its name."""
    entry = user.entry
    found = Impersonation(
        entry.impersonate,
        entry.impersonate_uid,
        tuple(entry.impersonate_groups),
        tuple((key, tuple(values)) for key, values in entry.impersonate_user_extra.items()),
    )
    if found != NOBODY_ELSE and not found.user:
        raise ConfigError("as-uid, as-groups and as-user-extra need a user to act as", path=user.where("as"))
    return found


def _exec_plugin(user: Placed[UserEntry], cluster: Placed[ClusterEntry]) -> ExecPlugin | None:
    entry = user.entry.exec
    if entry is None:
        return None
    if not entry.command:
        raise ConfigError("the exec plug-in has no command", path=user.where("exec.command"))
    if entry.api_version not in EXEC_API_VERSIONS:
        raise ConfigError(
            f"{entry.api_version!r} is no version of the plug-in interface that is spoken here",
            path=user.where("exec.apiVersion"),
            hint=f"one of {', '.join(EXEC_API_VERSIONS)}",
        )
    mode = entry.interactive_mode
    if not mode and entry.api_version != EXEC_API_VERSIONS[0]:
        mode = "IfAvailable"  # v1 has no default
    if mode not in INTERACTIVE_MODES:
        raise ConfigError(
            f"{mode!r} is no interactive mode" if mode else "the interactive mode is missing",
            path=user.where("exec.interactiveMode"),
            hint=f"one of {', '.join(INTERACTIVE_MODES)}",
        )
    for i, variable in enumerate(entry.env):
        if not variable.name:
            raise ConfigError("the variable has no name", path=user.where(f"exec.env[{i}].name"))
    extension = next(
        (item.extension for item in cluster.entry.extensions if item.name == EXEC_EXTENSION), None
    )
    return ExecPlugin(
        # A bare name is looked up on the PATH when it runs.
        command=user.resolve(entry.command) if "/" in entry.command else entry.command,
        args=tuple(entry.args),
        env=tuple((variable.name, variable.value) for variable in entry.env),
        api_version=entry.api_version,
        interactive_mode=mode,
        provide_cluster_info=entry.provide_cluster_info,
        cluster_config=b"" if extension is None else msgspec.json.encode(extension),
        install_hint=_printable(entry.install_hint),
        where=user.where("exec"),
    )


def _oidc(user: Placed[UserEntry], name: str) -> OidcProvider | None:
    provider = user.entry.auth_provider
    if provider is None:
        return None
    if provider.name != "oidc":
        found = replacement(provider.name, provider.config)
        raise ConfigError(
            f"the auth-provider {provider.name!r} of the user {name!r} "
            + ("was removed from Kubernetes clients" if found else "is not known"),
            path=user.where("auth-provider"),
            hint=f"install {found[0]} and put this in its place: {found[1]}"
            if found
            else "use `exec`, a token, a token file or a client certificate",
        )
    config = provider.config
    for key in ("idp-issuer-url", "client-id"):
        if not config.get(key):
            raise ConfigError(f"oidc needs {key}", path=user.where(f"auth-provider.config.{key}"))
    data = decoded(
        user,
        "auth-provider.config.idp-certificate-authority-data",
        config.get("idp-certificate-authority-data", ""),
    )
    return OidcProvider(
        issuer_url=config["idp-issuer-url"],
        client_id=config["client-id"],
        client_secret=config.get("client-secret", ""),
        ca_file="" if data else user.resolve(config.get("idp-certificate-authority", "")),
        ca_data=data,
        id_token=config.get("id-token", ""),
        refresh_token=config.get("refresh-token", ""),
        file=str(user.file),
        user=name,
    )


def _printable(text: str) -> str:
    """``text`` on one line; control characters are escaped."""
    return "".join(c if c.isprintable() else f"U+{ord(c):04X}" for c in " ".join(text.split()))
