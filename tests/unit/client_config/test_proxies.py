"""The environment's proxies, against what Go says (tests/vectors/proxies)."""

import json
from pathlib import Path
from typing import Any

import pytest

from deltawire.client.config.proxies import normal, proxy_for
from deltawire.common.errors import ConfigError

VECTORS = Path(__file__).parents[2] / "vectors" / "proxies" / "answers.jsonl"
CASES: list[dict[str, Any]] = [json.loads(line) for line in VECTORS.read_text().splitlines()]


@pytest.mark.parametrize("case", CASES, ids=lambda case: json.dumps(case["env"]))
def test_the_proxy_is_the_one_that_go_chooses(case: dict[str, Any]):
    for url, wanted in case["proxies"].items():
        if wanted is None:
            with pytest.raises(ConfigError, match="REQUEST_METHOD"):
                proxy_for(url, case["env"])
        else:
            expected = normal(wanted, "Go") if wanted else ""
            assert proxy_for(url, case["env"]) == expected, url


def test_the_vectors_hold_many_answers_of_both_kinds():
    answers = [proxy for case in CASES for proxy in case["proxies"].values()]
    assert sum(answer == "" for answer in answers) > 100
    assert sum(bool(answer) for answer in answers) > 100


@pytest.mark.parametrize(
    ("written", "used"),
    [
        ("p", "http://p:80"),
        ("p:3128", "http://p:3128"),
        ("https://p", "https://p:443"),
        ("socks5://p", "socks5h://p:1080"),
        ("HTTP://p:1/path", "http://p:1"),
        ("ada@p:1", "http://ada:@p:1"),
        ("http://a%40b:p%3Aw@[fd00::9]:1", "http://a%40b:p%3Aw@[fd00::9]:1"),
    ],
)
def test_a_proxy_gets_its_scheme_and_port(written: str, used: str):
    assert normal(written, "x") == used


@pytest.mark.parametrize(
    "written",
    [
        "http://",
        "://",
        "//p:1",
        "http://[::1",
        "http://p:port",
        " ",
        "http://p:1\n",
        "ftp://p",
        "http://p:99999",
    ],
)
def test_what_is_no_proxy_is_named_with_its_variable(written: str):
    with pytest.raises(ConfigError, match=r"\$https_proxy: ") as found:
        proxy_for("https://api.example", {"https_proxy": written})
    assert "\n" not in str(found.value)


def test_an_error_shows_no_password_of_a_proxy():
    with pytest.raises(ConfigError) as found:
        proxy_for("https://api.example", {"HTTPS_PROXY": "ftp://ada:s3cret@p"})
    assert "s3cret" not in str(found.value)
