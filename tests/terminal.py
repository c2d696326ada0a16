"""A real terminal of 80 columns, at which a test types."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Sequence
from fcntl import ioctl
from pathlib import Path
from types import TracebackType

PATIENCE = 60.0  # seconds


class Terminal:
    """``looktwice`` with arguments, in a folder, at a terminal; killed at the end if it still runs."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._master, theirs = pty.openpty()
        ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        code += "from looktwice.agent.cli import main; main()"
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            cwd=folder,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**os.environ, "TERM": "xterm"},
            start_new_session=True,
        )
        os.close(theirs)
        self.shown = ""

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._master)

    def wait_for(self, words: str) -> str:
        """Read until the screen ends with these words; what came since the last time."""
        return self._read(lambda new: new.endswith(words), words)

    def type(self, lines: Sequence[str], prompt: str) -> None:
        """Type each line when it is asked for."""
        for line in lines:
            self.wait_for(prompt)
            os.write(self._master, f"{line}\n".encode())
            self.wait_for(f"{line}\n")  # the terminal's echo

    def interrupt(self) -> None:
        """What Ctrl-C does; again after a while, as one just before the program begins to read a line isn't noticed."""
        until = time.monotonic() + PATIENCE
        while self.process.poll() is None and time.monotonic() < until:
            self.process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(5)

    def rest(self) -> int:
        """Read to the end; the exit status."""
        self._read(lambda _: False, "the end")
        return self.process.wait(PATIENCE)

    def _read(self, is_done: Callable[[str], bool], what: str) -> str:
        new, until = "", time.monotonic() + PATIENCE
        while not is_done(new):
            ready, _, _ = select.select([self._master], [], [], max(0.0, until - time.monotonic()))
            assert ready, f"waited for {what!r}; shown:\n{self.shown}"
            try:
                data = os.read(self._master, 1)
            except OSError:  # the other end is closed
                data = b""
            if not data:
                assert what == "the end", f"waited for {what!r}; shown:\n{self.shown}"
                return new
            text = data.decode("latin-1").replace("\r", "")
            new += text
            self.shown += text
        return new


def stop(terminal: Terminal) -> None:
    """End it as nothing can be prepared for."""
    os.killpg(terminal.process.pid, signal.SIGKILL)
    terminal.process.wait(PATIENCE)
