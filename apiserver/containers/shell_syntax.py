"""A small shell's grammar: text in, a tree out. What it does not know raises Unsupported."""

import re
from dataclasses import dataclass, field
from typing import Literal

# Nesting of what is in `$(…)`, loops and conditions; beyond it the text is refused.
DEPTH_MAX = 20
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_VARIABLE = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*|\?)\}|([A-Za-z_][A-Za-z0-9_]*|\?)")
_REDIRECT = re.compile(r"(2>&1|[12]?>&2|1?>&1|[12]?>>?\s*/dev/null|<\s*/dev/null)(?=[\s;&|)]|$)")
_OPERATORS = ("&&", "||", ";", "|", "\n")
_RESERVED = frozenset(
    {"if", "then", "elif", "else", "fi", "for", "while", "until", "do", "done", "in", "{", "}", "!"}
)


class Unsupported(ValueError):
    """The text is no program of this shell; the message says what is not understood."""


class Unfinished(Unsupported):
    """The text ends in the middle of a command."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a word: text as it is, the name of a variable, or a list of commands whose output it is."""

    kind: Literal["text", "variable", "output"]
    text: str = ""
    body: "Commands | None" = None
    is_quoted: bool = False


Word = tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Simple:
    """A program with its words. ``redirects`` are ``2>&1``, ``>&2``, ``>null``, ``2>null``, ``<null``, in order."""

    words: tuple[Word, ...] = ()
    assignments: tuple[tuple[str, Word], ...] = ()
    redirects: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class For:
    name: str
    words: tuple[Word, ...]
    body: "Commands"


@dataclass(frozen=True, slots=True)
class While:
    condition: "Commands"
    body: "Commands"
    is_until: bool = False


@dataclass(frozen=True, slots=True)
class If:
    """``branches`` are conditions with what is done then; ``otherwise`` may be empty."""

    branches: tuple[tuple["Commands", "Commands"], ...]
    otherwise: "Commands"


Command = Simple | For | While | If
Pipeline = tuple[Command, ...]


@dataclass(frozen=True, slots=True)
class Commands:
    """Pipelines, each with the condition on the one before: ``;``, ``&&`` or ``||``."""

    items: tuple[tuple[str, Pipeline], ...] = field(default=())


def parse(text: str) -> Commands:
    """The commands of a program. Raises Unsupported."""
    parser = _Parser(text)
    commands = parser.commands(())
    if parser.peek():
        raise Unsupported(f'unexpected "{parser.peek()}"')
    return commands


class _Parser:
    def __init__(self, text: str, depth: int = 0) -> None:
        if depth > DEPTH_MAX:
            raise Unsupported("nested too deeply")
        self._text = text
        self._depth = depth
        self._at = 0

    def peek(self) -> str:
        """The next operator, or the next plain word; "" at the end."""
        self._skip()
        rest = self._text[self._at :]
        for operator in _OPERATORS:
            if rest.startswith(operator):
                return operator
        found = re.match(r"[^\s;&|()<>'\"$`\\]+|.", rest)
        return found[0] if found else ""

    def commands(self, ends: tuple[str, ...]) -> Commands:
        """Until one of the reserved words ``ends``, or the end; that word is left."""
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise Unsupported("nested too deeply")
        items: list[tuple[str, Pipeline]] = []
        joint = ";"
        while True:
            while joint == ";" and self.peek() in (";", "\n"):
                self._at += 1
            if not self.peek() or self.peek() in ends:
                break
            items.append((joint, self._pipeline()))
            joint = self.peek()
            if joint in ("&&", "||"):
                self._at += 2
            elif joint in (";", "\n"):
                joint = ";"
                self._at += 1
            else:
                joint = ";"
                break
        if joint != ";":
            raise Unfinished("something is missing at the end")
        self._depth -= 1
        return Commands(tuple(items))

    def _pipeline(self) -> Pipeline:
        commands = [self._command()]
        while self.peek() == "|":
            self._at += 1
            commands.append(self._command())
        return tuple(commands)

    def _command(self) -> Command:
        word = self.peek()
        if word == "for":
            return self._for()
        if word in ("while", "until"):
            self._take(word)
            condition = self.commands(("do",))
            return While(condition, self._body(), is_until=word == "until")
        if word == "if":
            return self._if()
        if word in _RESERVED:
            raise Unsupported(f'unexpected "{word}"')
        return self._simple()

    def _for(self) -> For:
        self._take("for")
        name = self.peek()
        if not _NAME.fullmatch(name):
            raise Unsupported(f'bad for loop variable "{name}"')
        self._take(name)
        self._take("in")
        words = []
        while self.peek() not in (";", "\n", ""):
            words.append(self._word())
        if self.peek():
            self._at += 1
        return For(name, tuple(words), self._body())

    def _body(self) -> Commands:
        while self.peek() == "\n":
            self._at += 1
        self._take("do")
        body = self.commands(("done",))
        self._take("done")
        return body

    def _if(self) -> If:
        branches = []
        word = "if"
        while word in ("if", "elif"):
            self._take(word)
            condition = self.commands(("then",))
            self._take("then")
            branches.append((condition, self.commands(("elif", "else", "fi"))))
            word = self.peek()
        otherwise = Commands()
        if word == "else":
            self._take("else")
            otherwise = self.commands(("fi",))
        self._take("fi")
        return If(tuple(branches), otherwise)

    def _simple(self) -> Simple:
        words: list[Word] = []
        assignments: list[tuple[str, Word]] = []
        redirects: list[str] = []
        while self.peek() not in (*_OPERATORS, ""):
            rest = self._text[self._at :]
            redirect = _REDIRECT.match(rest)
            name = _NAME.match(rest)
            if redirect is not None:
                self._at += redirect.end()
                redirects.append(re.sub(r"\s", "", redirect[0]).replace("/dev/", "").replace(">>", ">"))
            elif not words and name is not None and rest[name.end() : name.end() + 1] == "=":
                self._at += name.end() + 1
                assignments.append((name[0], self._word(may_be_empty=True)))
            else:
                words.append(self._word())
        if not words and not assignments:
            raise Unsupported(f'unexpected "{self.peek() or "end"}"')
        return Simple(tuple(words), tuple(assignments), tuple(redirects))

    def _word(self, *, may_be_empty: bool = False) -> Word:
        if not may_be_empty:
            self._skip()
        pieces: list[Piece] = []
        quote = False
        begin = self._at
        while self._at < len(self._text):
            char = self._text[self._at]
            if char == '"':
                quote = not quote
                self._at += 1
                pieces.append(Piece("text", "", None, True))
            elif char == "\\" and self._at + 1 < len(self._text):
                following = self._text[self._at + 1]
                kept = "\\" if quote and following not in '"\\$`\n' else ""
                pieces.append(Piece("text", kept + following, None, True))
                self._at += 2
            elif char == "$":
                pieces.append(self._expansion(quote))
            elif quote:
                pieces.append(Piece("text", char, None, True))
                self._at += 1
            elif char == "'":
                end = self._text.find("'", self._at + 1)
                if end < 0:
                    raise Unfinished("unterminated quoted string")
                pieces.append(Piece("text", self._text[self._at + 1 : end], None, True))
                self._at = end + 1
            elif char.isspace() or char in ";|&":
                break
            elif char in "()<>`":
                raise Unsupported(f'"{char}" is not understood')
            else:
                pieces.append(Piece("text", char))
                self._at += 1
        if quote:
            raise Unfinished("unterminated quoted string")
        if self._at == begin and not may_be_empty:
            raise Unsupported(f'"{self._text[self._at : self._at + 1]}" is not understood')
        return tuple(pieces)

    def _expansion(self, is_quoted: bool) -> Piece:
        rest = self._text[self._at + 1 :]
        if rest.startswith("(") and not rest.startswith("(("):
            end = _closing(rest)
            inner = _Parser(rest[1:end], self._depth + 1)
            body = inner.commands(())
            if inner.peek():
                raise Unsupported(f'unexpected "{inner.peek()}"')
            self._at += end + 2
            return Piece("output", "", body, is_quoted)
        found = _VARIABLE.match(rest)
        if found is not None:
            self._at += 1 + found.end()
            return Piece("variable", found[1] or found[2], None, is_quoted)
        if rest[:1] in ("", '"', " "):
            self._at += 1
            return Piece("text", "$", None, is_quoted)
        raise Unsupported(f'"${rest[:1]}" is not understood')

    def _take(self, word: str) -> None:
        if self.peek() != word:
            raise (Unsupported if self.peek() else Unfinished)(
                f'"{word}" is expected before "{self.peek() or "end"}"'
            )
        self._at += len(word)

    def _skip(self) -> None:
        found = re.compile(r"(?:[ \t]|\\\n|(?<![^\s;])#[^\n]*)*").match(self._text, self._at)
        self._at = found.end() if found else self._at


def _closing(text: str) -> int:
    """Where the parenthesis that ``text`` begins with is closed."""
    depth, quote, at = 0, "", 0
    while at < len(text):
        char = text[at]
        if char == "\\" and quote != "'":
            at += 1
        elif quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char in "()":
            depth += 1 if char == "(" else -1
            if depth == 0:
                return at
        at += 1
    raise Unfinished('")" is missing')
