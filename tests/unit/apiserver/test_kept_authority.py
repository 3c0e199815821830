"""With a data file the server's certificate authority outlives a restart."""

import stat

import pytest

from deltawire.apiserver.auth.certificates import Authority
from deltawire.common.errors import StateError


def test_a_kept_authority_is_the_same_after_a_restart_and_for_its_owner_only(tmp_path):
    kept = tmp_path / "data.ca"
    first = Authority("127.0.0.1", kept=kept)
    assert Authority("127.0.0.1", kept=kept).ca_pem == first.ca_pem
    assert Authority("127.0.0.1").ca_pem != first.ca_pem
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


@pytest.mark.parametrize("text", ["", "nothing of the kind\n", "-----BEGIN CERTIFICATE-----\nx\n"])
def test_a_damaged_authority_is_named_and_not_replaced(tmp_path, text):
    kept = tmp_path / "data.ca"
    kept.write_text(text)
    with pytest.raises(StateError, match=r"data\.ca"):
        Authority("127.0.0.1", kept=kept)
    assert kept.read_text() == text
