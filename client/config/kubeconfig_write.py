"""Writing renewed tokens back to the kubeconfig that they came from.

kubectl and client-go use the same lock, ``FILE.lock``. Comments of the file are lost, as with them.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from deltawire.client.config import yaml_text
from deltawire.common.clock import Clock
from deltawire.common.errors import CredentialsError

# client-go fails at once where the lock is held; a renewal in another process is worth this wait.
LOCK_TIMEOUT_S = 10.0
_LOCK_LOOK_S = 0.1


@contextlib.contextmanager
def locked(file: Path, clock: Clock) -> Iterator[None]:
    """Hold ``file``'s lock. Raises CredentialsError where another process holds it for too long."""
    lock = Path(f"{file}.lock")
    deadline_s = clock.now_s() + LOCK_TIMEOUT_S
    while True:
        try:
            os.close(os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            break
        except FileExistsError:
            if clock.now_s() >= deadline_s:
                raise CredentialsError(
                    f"the kubeconfig {file} is locked by another program for {LOCK_TIMEOUT_S:.0f} s",
                    hint=f"if none is running, remove {lock}",
                ) from None
            clock.sleep(_LOCK_LOOK_S)
        except OSError as error:
            raise CredentialsError(f"the lock {lock} cannot be made: {error.strerror}") from None
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)


def provider_config(file: Path, user: str) -> dict[str, str]:
    """The auth-provider's config of ``user`` as the file has it now; empty where it has none."""
    found = _provider(_load(file), user)
    return {} if found is None else {str(key): str(value) for key, value in found.items()}


def write_provider_config(file: Path, user: str, changes: Mapping[str, str]) -> None:
    """Set ``changes`` in the auth-provider's config of ``user``. The caller holds the lock.

    The file is replaced in one step and stays readable for its owner alone. Raises CredentialsError.
    """
    content = _load(file)
    found = _provider(content, user)
    if found is None:
        raise CredentialsError(f"the kubeconfig {file} has no auth-provider for the user {user!r} any more")
    found.update(changes)
    target = file.resolve()  # a link stays a link
    temporary = ""
    try:
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}-")  # 0600
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            out.write(yaml_text.dump(content))
            out.flush()
            os.fsync(out.fileno())
        Path(temporary).replace(target)
    except OSError as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        raise CredentialsError(f"the kubeconfig {file} cannot be written: {error.strerror}") from None


def _load(file: Path) -> Any:
    try:
        return yaml_text.load(file.read_bytes())
    except OSError as error:
        raise CredentialsError(f"the kubeconfig {file} cannot be read: {error.strerror}") from None
    except ValueError:
        raise CredentialsError(f"the kubeconfig {file} is no YAML any more") from None


def _provider(content: Any, user: str) -> dict[str, Any] | None:
    """The config of the user's auth-provider inside ``content``, to read or to change."""
    users = content.get("users") if isinstance(content, dict) else None
    for item in users if isinstance(users, list) else []:
        if not isinstance(item, dict) or item.get("name") != user:
            continue
        node: Any = item
        for key in ("user", "auth-provider", "config"):
            node = node.get(key) if isinstance(node, dict) else None
        return node if isinstance(node, dict) else None
    return None
