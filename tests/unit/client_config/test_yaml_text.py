"""What is written is read as the same text by Go's readers, ours and PyYAML's."""

import pytest
import yaml

from deltawire.client.config import yaml_text
from tests.support.yaml_cases import ODD_WORDS


@pytest.mark.parametrize("word", ODD_WORDS)
def test_a_text_that_looks_like_something_else_is_quoted(word: str):
    written = yaml_text.dump({"token": word})
    assert written.strip() in (f"token: '{word}'", f'token: "{word}"')
    assert yaml_text.load(written.encode()) == yaml.safe_load(written) == {"token": word}


@pytest.mark.parametrize(
    ("word", "value"),
    [("-0x1F", -31), ("010", 8), ("1_000", 1000), ("0b11", 3), ("12e03", 12000.0), ("-.inf", -float("inf"))],
)
def test_a_plain_word_is_what_it_is_to_go(word: str, value: object):
    assert yaml_text.load(f"a: {word}".encode()) == {"a": value}


@pytest.mark.parametrize("text", ["a: [", "? [b]\n: c", "~: a", "a: \x00", "a: &a [*a]"])
def test_what_cannot_be_read_is_one_line_without_a_quote(text: str):
    with pytest.raises(ValueError, match=r"^not YAML(?: in line \d+)?$"):
        yaml_text.load(text.encode())
