"""docs/guarantees.md names tests and patches that exist, and all patches that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "guarantees.md").read_text()
PATCHES = {path.stem: path.read_text() for path in (ROOT / "tests" / "sabotage").glob("*.patch")}
NAMED = sorted(set(re.findall(r"`(tests/[^`]+\.py(?:::\w+)?)`", TEXT)))


def is_there(name):
    path, _, test = name.partition("::")
    file = ROOT / path
    return file.is_file() and (not test or re.search(rf"^def {test}\(", file.read_text(), re.MULTILINE))


def sections():
    """Each promise's part of the document, by its number."""
    parts = re.split(r"^## (P\d+) .*$", TEXT.partition("## The cases")[0], flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def patches_of(section):
    return set(re.findall(r"`([a-z0-9-]+)`", section.partition("- Sabotage:")[2]))


@pytest.mark.parametrize("name", NAMED)
def test_a_test_that_is_named_exists(name):
    assert is_there(name)


def test_each_promise_has_its_test_what_it_leaves_out_and_its_sabotage():
    assert list(sections()) == [f"P{n}" for n in range(1, 11)]
    for number, section in sections().items():
        assert f"tests/behaviour/test_{number.lower()}_" in section, number
        assert "- Not covered:" in section, number
        assert patches_of(section), number


def test_each_patch_stands_under_the_promise_that_it_breaks():
    told = {patch: number for number, section in sections().items() for patch in patches_of(section)}
    made = {stem: re.search(r"^Promise: (P\d+)", text)[1] for stem, text in PATCHES.items()}
    assert told == made


def test_each_statement_about_nats_names_its_test():
    table = TEXT.partition("## With `engine: nats`")[2].partition("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")][2:]
    assert len(rows) >= 9
    for row in rows:
        assert re.search(r"`tests/[^`]+` \|$", row), row


@pytest.mark.parametrize("stem", PATCHES)
def test_the_test_that_a_patch_must_turn_red_exists(stem):
    assert is_there(re.search(r"^Test: (\S+)", PATCHES[stem], re.MULTILINE)[1])
