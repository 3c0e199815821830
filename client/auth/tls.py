"""TLS contexts: whom we trust, and the certificate that we show."""

import contextlib
import os
import ssl
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from deltawire.client.config.client_config import ClientConfig
from deltawire.common.errors import ConfigError
from deltawire.common.temporary import temporary_folder


@dataclass(frozen=True, slots=True, repr=False)
class Material:
    """What a context is made of, in PEM: the CA bundle (empty: the system's), our certificate and its key."""

    ca: bytes = b""
    cert: bytes = b""
    key: bytes = b""


def material_of(config: ClientConfig) -> Material:
    """What ``config`` says now, files read. Raises ConfigError for a file that cannot be read."""
    return Material(
        ca_bytes_of(config),
        config.cert_data or (_read(config.cert_file, "the client certificate") if config.cert_file else b""),
        config.key_data or (_read(config.key_file, "the client key") if config.key_file else b""),
    )


def ssl_context_of(config: ClientConfig, material: Material | None = None) -> ssl.SSLContext:
    """The context for ``config``. Raises ConfigError for files or data that cannot be used.

    Trust is the given CA only, or the system's where none is given; TLS 1.2 or newer.
    """
    material = material_of(config) if material is None else material
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # As in Go: a certificate in the CA bundle is trusted even where it is not self-signed.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    has_ca = bool(config.ca_data or config.ca_file)
    if config.insecure_skip_tls_verify:
        if has_ca:
            raise ConfigError(
                "a CA and insecure-skip-tls-verify are both given",
                path=config.source,
                hint="keep one of the two",
            )
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif has_ca:
        _trust(context, config, material.ca)
    else:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    _identify(context, config, material)
    return context


def ca_bytes_of(config: ClientConfig) -> bytes:
    """The CA bundle that ``config`` gives, in PEM; empty where the system's is used."""
    if config.ca_data or not config.ca_file:
        return config.ca_data
    return _read(config.ca_file, "the CA file")


def _trust(context: ssl.SSLContext, config: ClientConfig, ca: bytes) -> None:
    try:
        context.load_verify_locations(cadata=ca.decode("ascii", errors="replace"))
    except (ssl.SSLError, ValueError):
        what = "certificate-authority-data" if config.ca_data else config.ca_file
        raise ConfigError(f"{what} holds no certificate in PEM form", path=config.source) from None


def _identify(context: ssl.SSLContext, config: ClientConfig, material: Material) -> None:
    cert, key = material.cert, material.key
    if not cert and not key:
        return
    if not cert or not key:
        missing = "a client key without its certificate" if key else "a client certificate without its key"
        raise ConfigError(f"{missing} is given", path=config.source)
    try:
        _load_pair(context, cert, key)
    except (ssl.SSLError, ValueError):
        raise ConfigError(
            "the client certificate and key do not form a pair in PEM form, without a password",
            path=config.source,
        ) from None


def is_pair(cert: bytes, key: bytes) -> bool:
    """True if the certificate and the key, in PEM, belong together and can be shown to a server."""
    try:
        _load_pair(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), cert, key)
    except (ssl.SSLError, ValueError):
        return False
    return True


def _load_pair(context: ssl.SSLContext, cert: bytes, key: bytes) -> None:
    """OpenSSL's binding takes files only: both go through private files that live for the call."""
    with _file_of(cert) as cert_file, _file_of(key) as key_file:
        # A password prompt on the terminal would hang a daemon: an encrypted key is refused instead.
        context.load_cert_chain(cert_file, key_file, password=lambda: "")


@contextlib.contextmanager
def _file_of(data: bytes) -> Iterator[str]:
    """The path of a file that only this user may read; in memory where possible, so that no key is written to disk."""
    if hasattr(os, "memfd_create") and Path("/proc/self/fd").is_dir():
        with os.fdopen(os.memfd_create("deltawire"), "wb") as memory:
            memory.write(data)
            memory.flush()
            yield f"/proc/self/fd/{memory.fileno()}"
        return
    handle, name = tempfile.mkstemp(prefix="deltawire-", suffix=".pem", dir=temporary_folder())  # 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        yield name
    finally:
        Path(name).unlink()


def _read(path: str, what: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as exc:
        raise ConfigError(f"{what} {path} cannot be read: {exc.strerror}") from None
