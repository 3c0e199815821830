"""A config that was written by `dump` is read without YAML; anything else is read, and explained, as YAML."""

import subprocess
import sys
from pathlib import Path

import pytest

from deltawire.common.config import yaml_text
from deltawire.common.config.load import dump, load, parse
from deltawire.common.errors import ConfigError

RAW = {
    "version": 1,
    "informers": [{"resource": "pods"}],
    "handlers": [
        {"name": "a", "command": ["./a"], "on": [{"resource": "pods", "labels": "app"}], "env": {"N": "1"}}
    ],
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config"


def test_what_dump_writes_is_read_without_yaml(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml_text, "read", None)
    config = parse(RAW)
    file.write_bytes(dump(config))
    assert load(file) == config


def test_json_by_hand_may_have_numbers_in_an_environment(file: Path) -> None:
    file.write_text(
        '{"version": 1, "handlers": [{"name": "a", "run": "a.py", "env": {"N": 010, "IS": true}}]}'
    )
    assert load(file).handlers[0].env == {"N": "010", "IS": "true"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"version": 1, "handlers": 7}', "handlers: Expected `array`, got `int`"),
        ('{"version": 1, "informers": [{"resource": "secrets"}]}', "puts their values into the cache"),
        ('{"version": 1, ', "line 1 is not YAML"),
    ],
)
def test_wrong_json_is_explained_like_yaml_with_the_name_of_the_file(
    file: Path, text: str, said: str
) -> None:
    file.write_text(text)
    with pytest.raises(ConfigError) as raised:
        load(file)
    assert said in str(raised.value)
    assert str(raised.value).startswith(str(file))


@pytest.mark.parametrize("role", ["handlers", "informer", "fifo"])
def test_a_role_that_up_starts_imports_no_yaml(role: str) -> None:
    code = f"import sys, deltawire.{role}.main; sys.exit('yaml' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
