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
ROOMS = ("apiserver", "bench", "examples", "tests/sabotage")
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
