"""Notes each call of a function of the project, where ``$BENCH_WALK`` names a folder. Loaded by Python at its start.

A file for each process: ``= NUMBER FILE FIRST LENGTH NAME`` when a function is met, ``TIME NUMBER`` for each call (µs
since 1970), ``! TIME NUMBER`` where an argument or the result holds an object of the benchmark.
"""

import itertools
import os
import sys
import threading
import time
from types import CodeType, FrameType
from typing import Any

ROLES = ("reflector", "fifo", "informer", "handlers")
# What only the benchmark's objects hold: their names begin so.
MARK = "web-0"
DEPTH = 4
ITEMS_MAX = 16
PLACES = ("/deltawire/", "/bench/programs/ours")


def length(code: CodeType) -> int:
    """Lines of a function, its inner ones included."""
    last = max((line for _, _, line in code.co_lines() if line), default=code.co_firstlineno)
    inner = [c.co_firstlineno + length(c) - 1 for c in code.co_consts if isinstance(c, CodeType)]
    return max([last, *inner]) - code.co_firstlineno + 1


def holds(value: Any, depth: int = DEPTH) -> bool:
    """Whether a value is, or has in it, a name or the bytes of an object. Objects are looked into by their fields."""
    if isinstance(value, str):
        return MARK in value
    if isinstance(value, bytes | bytearray):
        return MARK.encode() in value
    if depth == 0 or value is None or isinstance(value, int | float | type):
        return False
    if isinstance(value, dict):
        return any(holds(item, depth - 1) for pair in list(value.items())[:ITEMS_MAX] for item in pair)
    if isinstance(value, list | tuple):
        return any(holds(item, depth - 1) for item in value[:ITEMS_MAX])
    fields = getattr(type(value), "__struct_fields__", None) or getattr(type(value), "__match_args__", ())
    return any(holds(getattr(value, field, None), depth - 1) for field in fields)


def is_given(frame: FrameType) -> bool:
    """Whether a function's arguments hold an object, its own instance aside."""
    code = frame.f_code
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    return any(holds(frame.f_locals[name]) for name in names if name != "self" and name in frame.f_locals)


def install(folder: str, role: str) -> None:
    out = os.open(f"{folder}/{role}-{os.getpid()}.calls", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    known: dict[CodeType, int] = {}
    numbers = itertools.count(1)

    def note(frame: FrameType, event: str, result: Any) -> None:
        if event not in ("call", "return"):
            return
        code = frame.f_code
        number = known.get(code)
        if number is None:
            place = next((place for place in PLACES if place in code.co_filename), None)
            # Parts of a function that Python makes functions of are no functions of the project.
            wanted = place is not None and not code.co_name.startswith("<")
            number = next(numbers) if wanted else 0
            if wanted:
                file = code.co_filename[code.co_filename.rindex(place or "") + 1 :]
                line = f"= {number} {file} {code.co_firstlineno} {length(code)} {code.co_qualname}\n"
                os.write(out, line.encode())
            # Last, so that no other thread uses a number before the line that explains it. Two threads may each
            # number a function: both numbers mean it.
            known[code] = number
        if number:
            now_us = time.time_ns() // 1000
            if event == "call":
                os.write(out, f"{now_us} {number}\n".encode())
            if is_given(frame) if event == "call" else holds(result):
                os.write(out, f"! {now_us} {number}\n".encode())

    threading.setprofile(note)
    sys.setprofile(note)


def main() -> None:
    folder = os.environ.get("BENCH_WALK")
    role = next((name for name in ROLES if f"deltawire.{name}" in sys.orig_argv), None)
    if folder and role:
        install(folder, role)


main()
