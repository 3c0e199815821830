"""Discovery in a file that all processes of a user share: client-go's ``cached/disk``.

One file per server, `<folder>/<address id>/discovery.json`: written aside and renamed, so that no reader ever
sees half of it. Whatever is wrong with it, it is as if it was not there.
"""

import logging
import os
import tempfile
import threading
from pathlib import Path

import msgspec

from deltawire.client.config.client_config import ClientConfig
from deltawire.client.discovery.cluster_id import address_id
from deltawire.client.discovery.memory_cache import Discovery
from deltawire.client.discovery.model import ApiGroup, ApiResource, Discovered
from deltawire.client.schema import GroupVersion
from deltawire.common.clock import Clock, SystemClock

log = logging.getLogger(__name__)

TTL_S = 600.0  # as kubectl keeps its own
FILE_BYTES_MAX = 64 * 1024 * 1024
_FORMAT = 1


class _File(msgspec.Struct):
    format: int
    groups: tuple[ApiGroup, ...]
    resources: tuple[ApiResource, ...]


# Made here, and not by the first threads that need it at once (client/rest/decode).
_decode_file = msgspec.json.Decoder(_File).decode


class DiskCache:
    """Answers from the file while it is younger than ``ttl_s``, else from ``delegate``, and writes the file.

    What failed in part, or is empty, is not kept. A file that cannot be written costs a line in the log and
    nothing else. Safe to use from many threads and many processes.
    """

    def __init__(
        self,
        delegate: Discovery,
        config: ClientConfig,
        folder: Path,
        *,
        ttl_s: float = TTL_S,
        clock: Clock | None = None,
    ) -> None:
        self._delegate = delegate
        self._path = folder / address_id(config) / "discovery.json"
        self._ttl_s = ttl_s
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._ours: int | None = None  # the file that this process wrote, by its inode
        self._only_ours = False
        self._is_fresh = True

    @property
    def path(self) -> Path:
        return self._path

    @property
    def is_fresh(self) -> bool:
        """False once an answer came from a file that another process wrote."""
        with self._lock:
            return self._is_fresh

    def server_groups_and_resources(self) -> Discovered:
        with self._lock:
            found = self._read_locked()
            if found is not None:
                return found
            found = self._delegate.server_groups_and_resources()
            if found.resources and not found.failures:
                self._write_locked(found)
            return found

    def server_resources_for(self, group_version: GroupVersion) -> tuple[ApiResource, ...]:
        with self._lock:
            found = self._read_locked()
        if found is not None:
            return found.resources_of(group_version)
        return self._delegate.server_resources_for(group_version)

    def invalidate(self) -> None:
        """From now on only files count that this process writes."""
        with self._lock:
            self._ours = None
            self._only_ours = True
            self._is_fresh = True

    def _read_locked(self) -> Discovered | None:
        try:
            with self._path.open("rb") as file:
                stat = os.fstat(file.fileno())
                is_ours = stat.st_ino == self._ours
                if self._only_ours and not is_ours:
                    return None
                age_s = self._clock.wall_s() - stat.st_mtime
                if not -self._ttl_s <= age_s <= self._ttl_s or stat.st_size > FILE_BYTES_MAX:
                    return None
                found = _decode_file(file.read(FILE_BYTES_MAX))
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            log.warning("%s cannot be used and is written anew: %s", self._path, error)
            return None
        if found.format != _FORMAT:
            return None
        self._is_fresh = self._is_fresh and is_ours
        return Discovered(found.groups, found.resources)

    def _write_locked(self, discovered: Discovered) -> None:
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(prefix=".discovery-", dir=self._path.parent)  # 0600
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(msgspec.json.encode(_File(_FORMAT, discovered.groups, discovered.resources)))
                    inode = os.fstat(file.fileno()).st_ino
                Path(name).replace(self._path)
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise
        except OSError as error:
            log.warning("discovery cannot be kept in %s: %s", self._path, error)
            return
        self._ours = inode
