"""Where our own key goes on its way to OpenSSL."""

import os
import tempfile
from pathlib import Path
from typing import Any, NoReturn

import pytest
import trustme

from deltawire.client.auth.tls import is_pair


@pytest.fixture(scope="module")
def pair() -> tuple[bytes, bytes]:
    made = trustme.CA().issue_cert("ada@example.com")
    return made.cert_chain_pems[0].bytes(), made.private_key_pem.bytes()


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="no files in memory here")
def test_a_key_meets_no_disk_and_needs_no_temporary_folder(
    pair: tuple[bytes, bytes], monkeypatch: pytest.MonkeyPatch
):
    def none(*_: Any, **__: Any) -> NoReturn:
        raise FileNotFoundError("no usable temporary directory")

    monkeypatch.setattr(tempfile, "mkstemp", none)
    assert is_pair(*pair)
    assert not is_pair(pair[1], pair[0])


def test_where_there_are_no_files_in_memory_private_ones_are_made_and_removed(
    pair: tuple[bytes, bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.delattr(os, "memfd_create", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert is_pair(*pair)
    assert not is_pair(pair[0], b"no key")
    assert list(tmp_path.iterdir()) == []
