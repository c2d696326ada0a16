"""Plain mode in a real terminal of 80 columns: labelled lines, no escape code, nothing drawn twice."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from fcntl import ioctl
from pathlib import Path
from struct import pack
from termios import TIOCSWINSZ

import pytest
from scenes import scene

from looktwice.agent.cli.output import is_plain

PROGRAM = "from looktwice.agent.cli import main; main()"
LABELS = ("you: ", "assistant: ", "tool: ", "status: ", "check: ", "error: ")


class Terminal:
    """A program in a terminal of 80 columns and 24 lines."""

    def __init__(self, pid: int, screen: int) -> None:
        self.pid = pid
        self._screen = screen
        self.shown = ""

    def wait_for(self, words: str, seconds: float = 120) -> None:
        """Read until words are shown after what was shown before."""
        before, end = len(self.shown), time.monotonic() + seconds
        while words not in self.shown[before:]:
            assert time.monotonic() < end, self.shown
            if select.select([self._screen], [], [], 0.1)[0]:
                self._read()

    def type(self, line: str) -> None:
        os.write(self._screen, f"{line}\n".encode())

    def end(self) -> int:
        """Read until the program ends; its exit status."""
        with open(self._screen, "rb", buffering=0, closefd=False) as rest:
            try:
                while piece := rest.read(4096):
                    self.shown += piece.decode()
            except OSError:  # how Linux says that nobody writes any more
                pass
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def _read(self) -> None:
        self.shown += os.read(self._screen, 4096).decode()


@contextmanager
def terminal(*arguments: str, environment: Mapping[str, str]) -> Generator[Terminal]:
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "ACCESSIBLE", "TERM")}
    pid, screen = pty.fork()
    if pid == 0:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.execve(sys.executable, [sys.executable, "-c", PROGRAM, *arguments], {**kept, **environment})
    ioctl(screen, TIOCSWINSZ, pack("HHHH", 24, 80, 0, 0))
    opened = Terminal(pid, screen)
    try:
        yield opened
    finally:
        try:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass
        os.close(screen)


def test_a_conversation_in_a_terminal_has_labels_and_no_escape_code(tmp_path: Path) -> None:
    scene(("red", "circle", "top left"), ("blue", "square", "bottom right")).save(tmp_path / "wall.png")
    with terminal(
        *("chat", "-i", str(tmp_path / "wall.png"), "--chat", "c", "--tools", "zoom", "--plain"),
        environment={"TERM": "xterm-256color", "LOOKTWICE_DB": str(tmp_path / "chat.db")},
    ) as shown:
        shown.wait_for("you: ")
        shown.type("What colour is the circle in @wall?")
        shown.wait_for("assistant: ")
        shown.wait_for("you: ")
        shown.type(f"/add {'a very long name that goes on over the end of the line ' * 2}.png")
        shown.wait_for("you: ")
        shown.type("/wyh")
        shown.wait_for("you: ")
        shown.type("/quit")
        assert shown.end() == 0
    assert re.findall("[^\x20-\x7e\r\n]", shown.shown) == []
    lines = shown.shown.replace("\r\n", "\n").splitlines()
    assert "\r" not in "\n".join(lines)  # nothing is drawn over
    assert [line for line in lines if not line.startswith(LABELS)] == []
    assert "assistant: red" in lines
    assert "error: no command named '/wyh'; did you mean '/why'?; /help explains them" in lines


@pytest.mark.parametrize("wish", [{"ACCESSIBLE": "1"}, {"NO_COLOR": "1"}, {"TERM": "dumb"}, {"asked": "yes"}])
def test_any_wish_for_plain_lines_is_heard(wish: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    screen, program = pty.openpty()
    with open(program, "w", encoding="utf-8") as there:
        monkeypatch.setattr("sys.stdout", there)
        for name in ("ACCESSIBLE", "NO_COLOR"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("TERM", "xterm")
        assert not is_plain(False)
        for name, value in wish.items():
            monkeypatch.setenv(name, value)
        assert is_plain("asked" in wish)
    os.close(screen)
