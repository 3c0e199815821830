"""Credentials that need more than one field: plug-ins, OIDC, impersonation.

Plain frozen values: they pickle, they can be compared, and their repr shows no secret.
"""

from dataclasses import dataclass

EXEC_API_VERSIONS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")
INTERACTIVE_MODES = ("Never", "IfAvailable", "Always")


@dataclass(frozen=True, slots=True)
class Impersonation:
    """The user to impersonate. ``uid``, ``groups`` and ``extra`` mean nothing without ``user``."""

    user: str = ""
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()


NOBODY_ELSE = Impersonation()


@dataclass(frozen=True, slots=True, repr=False)
class ExecPlugin:
    """A program that prints credentials. ``env`` is added to our own environment.

    ``cluster_config`` is the cluster's extension for plug-ins, as JSON; it is passed on, together with the
    cluster's address and CA, where ``provide_cluster_info`` says so. ``where`` is the field it was read from.
    """

    command: str
    args: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    api_version: str = EXEC_API_VERSIONS[0]
    interactive_mode: str = "IfAvailable"
    provide_cluster_info: bool = False
    cluster_config: bytes = b""
    install_hint: str = ""
    where: str = ""

    def __repr__(self) -> str:
        # Arguments and environment often hold a secret; how many there are is enough to recognise it.
        return (
            f"ExecPlugin(command={self.command!r}, <{len(self.args)} args>, <{len(self.env)} variables>, "
            f"api_version={self.api_version!r}, interactive_mode={self.interactive_mode!r})"
        )


@dataclass(frozen=True, slots=True, repr=False)
class OidcProvider:
    """Tokens of an OpenID Connect provider, renewed with a refresh token.

    ``file`` and ``user`` name the kubeconfig entry where renewed tokens are written; "" writes nowhere.
    """

    issuer_url: str
    client_id: str
    client_secret: str = ""
    ca_file: str = ""
    ca_data: bytes = b""
    id_token: str = ""
    refresh_token: str = ""
    file: str = ""
    user: str = ""

    def __repr__(self) -> str:
        return (
            f"OidcProvider(issuer_url={self.issuer_url!r}, client_id={self.client_id!r}, user={self.user!r})"
        )
