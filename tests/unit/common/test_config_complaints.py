"""A wrong config is told by its field, with what it may be."""

import pytest

from deltawire.common.config.load import load, parse
from deltawire.common.errors import ConfigError


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (
            {"handlers": [{"name": "a", "run": "a.py"}, {"name": "b", "run": "b.py", "delivery": "all"}]},
            "handlers[1].delivery: 'all' is not known here; it is `every` or `latest` (did you mean 'every'?)",
        ),
        (
            {"handlers": [{"name": "b", "run": "b.py", "delivery": "lates"}]},
            "handlers[0].delivery: 'lates' is not known here; it is `every` or `latest` (did you mean 'latest'?)",
        ),
        (
            {"informers": [{"resource": "secrets", "secrets": "show"}]},
            "informers[0].secrets: 'show' is not known here; it is `drop` or `hash` or `keep`",
        ),
        (
            {"informers": [{"resource": "pods", "indexes": {"good": ".a", "by-node": 7}}]},
            "informers[0].indexes.by-node: Expected `str`, got `int`",
        ),
        (
            {"informers": [{"resource": "pods", "index": {}}]},
            "informers[0].index: unknown key (did you mean 'indexes'?)",
        ),
        ({"informers": 7}, "informers: Expected `array`, got `int`"),
    ],
)
def test_a_complaint_names_the_field_and_what_it_may_be(raw, said) -> None:
    with pytest.raises(ConfigError) as raised:
        parse({"version": 1, **raw})
    assert str(raised.value) == said


def test_numbers_and_words_of_an_env_are_taken_as_they_are_written(tmp_path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(
        "version: 1\nhandlers:\n"
        "  - {name: a, command: [x], on: [pods], workers: 2, env: {PORT: 0808, RATE: 1.10, ON: true, NAME: x}}\n"
    )
    [handler] = load(path).handlers
    assert handler.env == {"PORT": "0808", "RATE": "1.10", "ON": "true", "NAME": "x"}
    assert handler.workers == 2
