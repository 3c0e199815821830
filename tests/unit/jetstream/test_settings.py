import itertools

from deltawire.jetstream.settings import NatsSettings, without_password, word_of


def test_different_names_never_share_a_word():
    names = ["a.b", "a_b", "a-b", "a--b", "a.-b", "a-.b", "a..b", "*", "", "=", "a b", "é", "deployments.apps"]
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
