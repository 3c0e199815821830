from pathlib import Path

import pytest

from deltawire.client.auth.credentials import TOKEN_FILE_REREAD_S, TokenFile, credentials_of
from deltawire.client.config.client_config import ClientConfig
from deltawire.common.clock import FakeClock
from deltawire.common.errors import ConfigError


def config(**fields: str) -> ClientConfig:
    return ClientConfig("https://h", **fields)


@pytest.mark.parametrize(
    ("fields", "headers"),
    [
        ({}, {}),
        ({"token": "abc"}, {"Authorization": "Bearer abc"}),
        ({"username": "ada", "password": "pw"}, {"Authorization": "Basic YWRhOnB3"}),
    ],
)
def test_the_header_says_who_we_are(fields: dict[str, str], headers: dict[str, str]):
    credentials = credentials_of(config(**fields))
    assert credentials.headers() == headers
    assert not credentials.invalidate()


def test_token_and_user_name_together_are_a_mistake():
    with pytest.raises(ConfigError, match="both a token and a user name"):
        credentials_of(config(token="a", username="b"))


@pytest.mark.parametrize("token", ["a b", "a\nb", "ä"])
def test_a_token_that_cannot_travel_is_refused_without_showing_it(token: str):
    with pytest.raises(ConfigError) as found:
        credentials_of(config(token=token))
    assert token not in str(found.value)


def test_a_token_file_is_read_again_after_a_while(tmp_path: Path):
    file, clock = tmp_path / "token", FakeClock()
    file.write_text("one\n")
    credentials = credentials_of(config(token_file=str(file)), clock=clock)
    file.write_text("two\n")
    clock.advance(TOKEN_FILE_REREAD_S - 1)
    assert credentials.headers()["Authorization"] == "Bearer one"
    clock.advance(1)
    assert credentials.headers()["Authorization"] == "Bearer two"


def test_a_refused_token_is_read_again_at_once(tmp_path: Path):
    file = tmp_path / "token"
    file.write_text("one")
    credentials = TokenFile(str(file), clock=FakeClock())
    assert not credentials.invalidate()
    file.write_text("two")
    assert credentials.invalidate()
    assert credentials.headers()["Authorization"] == "Bearer two"


@pytest.mark.parametrize("content", [None, "", "a b"])
def test_a_token_file_must_be_readable_at_the_start(tmp_path: Path, content: str | None):
    if content is not None:
        (tmp_path / "token").write_text(content)
    with pytest.raises(ConfigError, match="token file"):
        TokenFile(str(tmp_path / "token"), clock=FakeClock())


def test_a_token_file_that_goes_away_keeps_the_last_token(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    file, clock = tmp_path / "token", FakeClock()
    file.write_text("s3cret")
    credentials = TokenFile(str(file), clock=clock)
    file.unlink()
    clock.advance(TOKEN_FILE_REREAD_S)
    assert credentials.headers()["Authorization"] == "Bearer s3cret"
    assert "the last token is kept" in caplog.text
    assert "s3cret" not in caplog.text


def test_an_inline_token_stands_in_until_the_file_can_be_read(tmp_path: Path):
    credentials = TokenFile(str(tmp_path / "token"), initial="inline", clock=FakeClock())
    assert credentials.headers()["Authorization"] == "Bearer inline"
