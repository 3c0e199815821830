import itertools

import pytest

from deltawire.common.config.schema import NatsEngine
from deltawire.common.errors import ConfigError
from deltawire.jetstream.settings import NatsSettings, settings_of, without_password, word_of


def test_different_names_never_share_a_word():
    names = [
        "a.b",
        "a_b",
        "a-b",
        "a--b",
        "a.-b",
        "a-.b",
        "a..b",
        "*",
        "",
        "=",
        "a b",
        "é",
        "deployments.apps",
    ]
    words = [word_of(name) for name in names]
    assert len(set(words)) == len(names)
    for text in words:
        assert text and not set(text) & set(". *>\t\r\n/\\")


def test_a_streams_name_has_its_cluster_and_resource():
    settings = NatsSettings(name="prod")
    assert settings.stream("dev", "deployments.apps") == "prod+dev+deployments_apps"
    assert settings.subject("dev", "deployments.apps", "3") == "dw.prod.dev.deployments_apps.3"


def test_passwords_are_in_no_log():
    settings = NatsSettings(servers=("nats://me:secret@one:4222", "two:4222"), credentials="/x/secret.creds")
    assert settings.shown == "nats://one:4222, two:4222"
    assert "secret.creds" not in repr(settings)
    assert without_password("nats://me:secret@one:4222/") == "nats://one:4222/"


def test_words_of_joined_names_do_not_run_together():
    settings = NatsSettings()
    pairs = list(itertools.product(["a", "a_b", "b"], ["c", "b_c", "a"]))
    assert len({settings.subject(*pair) for pair in pairs}) == len(pairs)


@pytest.mark.parametrize(
    "login", ["me:se/cret", "me:se@cret", "me:se#cret", "me:se?cret", "secret", "me:%73ecret"]
)
def test_no_character_of_a_password_makes_it_visible(login: str):
    settings = NatsSettings(servers=(f"nats://{login}@one:4222",))
    engine = NatsEngine(servers=list(settings.servers))
    for shown in (settings.shown, repr(settings), repr(engine), str(settings.options()["servers"])):
        assert "cret" not in shown
    assert settings.shown == "nats://one:4222"


@pytest.mark.parametrize("url", ["nats://one:x", "nats://me:secret@one:99999", "nats://:4222", "nats://[one"])
def test_a_url_that_is_none_is_refused_with_its_place_and_without_its_password(url: str):
    with pytest.raises(ConfigError, match="is no URL") as found:
        settings_of(NatsEngine(servers=[url]))
    assert found.value.path == "engine.servers"
    assert "secret" not in str(found.value)


@pytest.mark.parametrize("where", ["engine", "archive"])
def test_a_bound_of_bytes_into_which_large_objects_never_fit_is_refused(where: str):
    with pytest.raises(ConfigError, match="64MiB or more") as found:
        settings_of(NatsEngine(max_bytes="8MiB"), where)
    assert found.value.path == f"{where}.max_bytes"
    assert settings_of(NatsEngine(max_bytes="64MiB"), where).max_bytes == 64 * 1024**2
