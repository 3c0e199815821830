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
        (
            {"handlers": [{"name": "My_H", "run": "a.py"}]},
            "handlers[0].name: 'My_H' is no name "
            "(lower case letters, digits and '-', at most 63, neither first nor last a '-')",
        ),
        ({"informers": 7}, "informers: Expected `array`, got `int`"),
        (
            {"handlers": [{"name": "a", "run": "a.py", "replicas": {"max": 4}}]},
            "handlers[0].replicas: a range of replicas needs what their number goes by "
            "(backlog: changes that wait for one replica, or cpu: cores that one takes)",
        ),
        (
            {"handlers": [{"name": "a", "run": "a.py", "replicas": {"min": 5, "max": 4, "cpu": 1}}]},
            "handlers[0].replicas: min is 5 and max is 4",
        ),
        (
            {"handlers": [{"name": "a", "run": "a.py", "replicas": {"max": 99, "backlog": 1}}]},
            "handlers[0].replicas.max: Expected `int` <= 64",
        ),
        (
            {"handlers": [{"name": "a", "run": "a.py", "replicas": {"max": 2, "backlogs": 1}}]},
            "handlers[0].replicas.backlogs: unknown key (did you mean 'backlog'?)",
        ),
        (
            {"handlers": [{"name": "a", "run": "a.py", "replicas": {"max": 2, "cpu": 1, "cool_down": "soon"}}]},
            "handlers[0].replicas.cool_down: 'soon' is not a duration "
            "(write it like 250ms, 60s, 5m, 1h30m or 7d)",
        ),
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
