"""Files of credentials: what is taken from them, and that what is wrong with one is said without its content."""

from pathlib import Path

import pytest

from deltawire.jetstream.credentials import Credentials
from tests.support.nats_users import Key, User


def test_a_file_gives_the_jwt_and_signs_with_its_seed(tmp_path: Path):
    user, path = User(), tmp_path / "a.creds"
    path.write_text(user.file("eyJ.user.jwt"))
    credentials = Credentials(path)
    assert credentials.jwt() == b"eyJ.user.jwt"
    user.verify(credentials.sign("nonce").decode(), b"nonce")


def test_a_file_that_was_renewed_is_taken_at_the_next_attempt(tmp_path: Path):
    path, second = tmp_path / "a.creds", User()
    path.write_text(User().file("first"))
    credentials = Credentials(path)
    credentials.sign("nonce")
    path.write_text(second.file("second").replace("\n", "\r\n"))
    assert credentials.jwt() == b"second"
    second.verify(credentials.sign("nonce").decode(), b"nonce")


def broken(content: str, instead: str) -> str:
    user = User()
    return user.file("the-jwt").replace(content.format(seed=user.seed), instead.format(seed=user.seed))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "have no USER NKEY SEED: is it a .creds file"),
        ("hidden-not-creds", "have no USER NKEY SEED: is it a .creds file"),
        ("\xe9hidden", "have no USER NKEY SEED: is it a .creds file"),
        (broken("{seed}", "SUhidden"), "the seed is not whole"),
        (broken("{seed}", "{seed}A"), "the seed is not whole"),
        (broken("{seed}", "!hidden!"), "the seed is not whole"),
        (broken("{seed}", Key("A").seed), "the seed is no user's"),
    ],
)
def test_a_file_that_is_broken_is_named_in_one_line_without_its_content(tmp_path: Path, text: str, said: str):
    path = tmp_path / "a.creds"
    path.write_text(text)
    with pytest.raises(OSError, match=said) as found:
        Credentials(path).sign("nonce")
    assert str(path) in str(found.value)
    assert "\n" not in str(found.value)
    assert "hidden" not in str(found.value)
    assert found.value.__cause__ is None


def test_a_file_that_is_gone_is_named(tmp_path: Path):
    with pytest.raises(OSError, match=r"a\.creds cannot be read: No such file"):
        Credentials(tmp_path / "a.creds").jwt()
