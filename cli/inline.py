"""``deltawire run FILE --inline``: the pipeline in a child process, the handler's calls here, on the terminal.

The child is forked before anything has threads, in a session of its own, so that Ctrl-C is for the handler alone. It
drains when the handler has ended, and the handler when it has.

Not here: calls in the main thread (``handlers.inline``).
"""

import os
import signal
import sys
import threading
from dataclasses import replace
from pathlib import Path

import msgspec

from deltawire.cli import config_source, lone, session
from deltawire.common import parent
from deltawire.common.clock import Clock
from deltawire.common.config.load import load
from deltawire.common.config.plan import Plan
from deltawire.common.config.schema import Config
from deltawire.common.errors import ConfigError, DeltawireError

# How often we look whether the pipeline has written its config, or an end that was asked for is asked for again.
LOOK_S = 0.1


def run(wanted: session.Session, *, clock: Clock) -> int:
    """Run until the handler or the pipeline ends. The exit code. Raises ConfigError unless there is one handler."""
    name = _only_handler(wanted.config)
    file = Plan(wanted.config).runtime_dir / config_source.EFFECTIVE
    earlier = _run_of(file)
    pipeline = _Pipeline(_without_replicas(wanted))
    try:
        while _run_of(file) in ("", earlier) and not pipeline.is_over:
            clock.sleep(LOOK_S)
        if pipeline.is_over:
            pipeline.end()
            return pipeline.code or 0
        with lone.config_file(_alone(load(file))) as mine:
            from deltawire.handlers.main import main

            arguments = ["--config", str(mine), "--handler", name, "--inline", "--log-level", wanted.log_level]
            code = main(arguments)
    finally:
        pipeline.end()
    return code or pipeline.code or 0


class _Pipeline:
    """The child. When it ends by itself this process is asked to end, too."""

    def __init__(self, wanted: session.Session) -> None:
        self.code: int | None = None
        self._is_asked = False
        self._is_ending = threading.Event()
        us = parent.this_process()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        # Until the handler's role takes the signal over.
        signal.signal(signal.SIGTERM, self._ask)
        self._pid = os.fork()
        if self._pid == 0:
            os._exit(_run_child(wanted, us))
        self._thread = threading.Thread(target=self._wait, name="pipeline", daemon=True)
        self._thread.start()

    @property
    def is_over(self) -> bool:
        """It has ended, or we were asked to."""
        return self._is_asked or self.code is not None

    def end(self) -> None:
        """Let it drain, and wait for its end."""
        self._is_ending.set()
        if self.code is None:
            os.kill(self._pid, signal.SIGTERM)
        self._thread.join()

    def _ask(self, *_: object) -> None:
        self._is_asked = True

    def _wait(self) -> None:
        _, status = os.waitpid(self._pid, 0)
        code = os.waitstatus_to_exitcode(status)
        self.code = code if code >= 0 else 128 - code
        while not self._is_ending.wait(LOOK_S):
            os.kill(os.getpid(), signal.SIGTERM)


def _run_child(wanted: session.Session, us: str) -> int:
    """Its exit code, whatever happens: nothing of the parent's stack may run in the child."""
    code = 1
    try:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        parent.die_with_parent(us)
        code = session.run(wanted)
    except DeltawireError as error:
        sys.stderr.write(f"deltawire: {error}\n")
        code = error.exit_code
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    return code


def _only_handler(config: Config) -> str:
    names = [handler.name for handler in config.handlers]
    if len(names) != 1:
        raise ConfigError(
            f"--inline runs one handler, and there are {len(names)}: {', '.join(names)}",
            hint="name one file with one handler",
        )
    return names[0]


def _without_replicas(wanted: session.Session) -> session.Session:
    handlers = [msgspec.structs.replace(handler, replicas=0) for handler in wanted.config.handlers]
    config = msgspec.structs.replace(wanted.config, handlers=handlers)
    return replace(wanted, config=config, is_quiet=True)


def _alone(config: Config) -> Config:
    """As for a role without a supervisor: it does not report."""
    runtime = msgspec.structs.replace(config.runtime, control=False)
    return msgspec.structs.replace(config, runtime=runtime)


def _run_of(file: Path) -> str:
    try:
        return load(file).runtime.run
    except DeltawireError:
        return ""
