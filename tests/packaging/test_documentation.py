"""What the documents show is true: configs are read, code compiles, commands exist, links lead somewhere."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import pytest
import typer.main

from deltawire.cli.main import app
from deltawire.common.config.load import load as load_config
from deltawire.handlers.loader import load as load_plugin

ROOT = Path(__file__).parents[2]
ROOMS = ("apiserver", "bench", "examples", "examples/handlers", "examples/lines", "tests/sabotage")
DOCUMENTS = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(path for room in ROOMS for path in (ROOT / room).glob("*.md")),
    ]
)
FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL
)
LINK = re.compile(r"(?<!!)\[[^\]]+\]\((?P<target>[^)\s]+)\)")
CONFIG_KEYS = {"version", "clusters", "store", "runtime", "metrics", "informers", "handlers"}
SHELLS = {"console", "sh", "bash", "shell", "text", ""}
# Where a command's words end.
ENDS = ("|", "&", "&&", ";", ">", "2>", "||")


@dataclass(frozen=True)
class Block:
    """A fenced block of a document."""

    document: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.document}:{self.line}"


def blocks() -> Iterator[Block]:
    for path in DOCUMENTS:
        text = path.read_text()
        for found in FENCE.finditer(text):
            body = re.sub(rf"^{found['indent']}", "", found["text"], flags=re.MULTILINE)
            line = text.count("\n", 0, found.start()) + 2
            yield Block(str(path.relative_to(ROOT)), line, found["language"], body)


BLOCKS = list(blocks())


def configs() -> list[Block]:
    """Blocks that are a config of ours, whole or in part, and no manifest or Compose file."""
    found = []
    for block in BLOCKS:
        if block.language in ("yaml", "yml"):
            keys = set(re.findall(r"^(\w[\w-]*):", block.text, re.MULTILINE))
            if keys and keys <= CONFIG_KEYS:
                found.append(block)
    return found


def commands() -> list[tuple[Block, list[str]]]:
    """Each ``deltawire …`` of a console block, without what a pipe or a redirection leads to."""
    found = []
    for block in BLOCKS:
        if block.language not in SHELLS:
            continue
        for line in block.text.replace("\\\n", " ").splitlines():
            match = re.match(r"^\s*(?:\$ )?(?:\S+/)?deltawire (?P<rest>[a-z-].*)$", line)
            if match:
                words = shlex.split(match["rest"].replace("…", ""), comments=True)
                stop = next((i for i, word in enumerate(words) if word in ENDS), len(words))
                found.append((block, words[:stop]))
    return found


def test_the_documents_show_something():
    assert len(configs()) >= 2
    assert len(commands()) >= 5


@pytest.mark.parametrize("block", configs(), ids=str)
def test_a_config_is_read(block, tmp_path):
    file = tmp_path / "deltawire.yaml"
    file.write_text(block.text if "version:" in block.text else f"version: 1\n{block.text}")
    load_config(file)


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language in ("python", "py")], ids=str)
def test_python_compiles_and_plug_ins_load(block, tmp_path):
    compile(block.text, str(block), "exec", dont_inherit=True)
    if re.search(r"^handler = Handler\(", block.text, re.MULTILINE):
        file = tmp_path / "plugin.py"
        file.write_text(block.text)
        assert load_plugin(str(file))


@pytest.mark.parametrize("shown", commands(), ids=lambda shown: f"{shown[0]} {' '.join(shown[1])}")
def test_a_command_exists_with_its_options(shown):
    _, words = shown
    command: click.Command = typer.main.get_command(app)
    rest = list(words)
    while hasattr(command, "commands") and rest and not rest[0].startswith("-"):
        name = rest.pop(0)
        assert name in command.commands, f"no command {name!r}"
        command = command.commands[name]
    known = {option for p in command.params for option in (*p.opts, *p.secondary_opts)} | {"--help"}
    for word in rest:
        if word == "--":
            break
        if word.startswith("-"):
            assert word.partition("=")[0] in known


def anchors_of(path: Path) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", path.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_relative_links_lead_somewhere(path):
    for found in LINK.finditer(FENCE.sub("", path.read_text())):
        target, _, anchor = found["target"].partition("#")
        if "://" in target or target.startswith("mailto:"):
            continue
        there = (path.parent / target).resolve() if target else path
        assert there.exists(), found["target"]
        assert there.is_relative_to(ROOT), found["target"]
        if anchor and there.suffix == ".md":
            assert anchor in anchors_of(there), found["target"]


PACKAGES = (
    "apiserver",
    "cli",
    "client",
    "common",
    "fifo",
    "handlers",
    "informer",
    "reflector",
    "src",
    "tests",
)
SOURCES = sorted(
    path
    for room in (*PACKAGES, "bench", "examples", "deploy")
    for suffix in ("py", "pyi", "patch")
    for path in (ROOT / room).rglob(f"*.{suffix}")
    # bench/.build holds what others wrote.
    if path != Path(__file__) and ".build" not in path.parts
)
CONTRACTS = ROOT / "docs" / "contracts.md"
# Of documents that are not in the repository: a catalogue of client-go's behaviour, a design of its own.
ELSEWHERE = re.compile(r"\b[Ss]emantics (?:§|PART)|\bdesign §|\(design:")
SECTION = re.compile(r"(?P<name>[\w./-]+\.md)\)? (?P<parts>§\d+(?:(?:, |-| and )§?\d+)*)")
CONTRACT = re.compile(r"contracts\.md, (?P<table>[a-z ]+?) (?P<first>\d+)(?:-(?P<last>\d+))?")


def prose_of(path: Path) -> str:
    """A file's text with comments and docstrings on one line, so that a reference may be broken over two."""
    return re.sub(r"\s+(?:# )?", " ", path.read_text())


def headings_of(name: str) -> set[int]:
    """The numbers of the sections of a document: of the repository, or of its docs folder."""
    found = next((path for path in (ROOT / name, ROOT / "docs" / name) if path.is_file()), None)
    assert found, f"no document {name}"
    return {int(number) for number in re.findall(r"^## (\d+)\. ", found.read_text(), re.MULTILINE)}


def references_to_sections(text: str) -> Iterator[tuple[str, int]]:
    for found in SECTION.finditer(text):
        for number in re.findall(r"\d+", found["parts"]):
            yield found["name"], int(number)


def tables_of_contracts() -> dict[str, set[int]]:
    """The numbers of the rows of each table, by the table's heading in lower case."""
    parts = re.split(r"^## (.+)$", CONTRACTS.read_text(), flags=re.MULTILINE)
    return {
        heading.lower(): {int(number) for number in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)}
        for heading, text in zip(parts[1::2], parts[2::2], strict=True)
    }


def test_the_sources_are_read():
    assert len(SOURCES) > 400


def test_no_source_refers_to_a_document_that_is_not_in_the_repository():
    found = {
        str(path.relative_to(ROOT)): ELSEWHERE.findall(prose_of(path)) for path in [*SOURCES, *DOCUMENTS]
    }
    assert {path: references for path, references in found.items() if references} == {}


def test_a_section_that_a_source_refers_to_exists_and_its_document_is_named():
    for path in SOURCES:
        text = prose_of(path)
        for name, number in references_to_sections(text):
            assert number in headings_of(name), f"{path}: {name} §{number}"
        assert not re.search(r"§\d", SECTION.sub("", text)), f"{path}: a § without the name of its document"


def test_a_contract_that_a_source_refers_to_exists():
    tables = tables_of_contracts()
    for path in SOURCES:
        for found in CONTRACT.finditer(prose_of(path)):
            rows = range(int(found["first"]), int(found["last"] or found["first"]) + 1)
            assert set(rows) <= tables.get(found["table"], set()), f"{path}: {found[0]}"


def test_each_contract_names_modules_and_tests_that_exist():
    rows = re.findall(r"^\| \d+ \|.*$", CONTRACTS.read_text(), re.MULTILINE)
    assert rows
    for row in rows:
        _, _, _, modules, tests, _ = row.split("|")
        assert all((ROOT / name).exists() for name in re.findall(r"`([^`]+)`", modules)), row
        assert all((ROOT / name).is_file() for name in re.findall(r"`([^`]+)`", tests)), row
        assert "`tests/" in tests, row
