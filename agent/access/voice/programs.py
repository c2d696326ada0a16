"""The programs that speak: ``spd-say`` asks the desktop's speech service, ``espeak-ng`` speaks itself.

Text goes to their standard input, never into the command line, which every user of the computer can read.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ....errors import InvalidInput, SpeechError

__all__ = ["FASTEST", "Manner", "SLOWEST", "USUAL_RATE", "require_program", "say_aloud", "write_wav"]

SLOWEST, USUAL_RATE, FASTEST = 80, 175, 450
"""Words a minute."""

_POLL = 0.05  # seconds after which a stop is noticed
_INSTALL = {"linux": "sudo apt install espeak-ng", "darwin": "brew install espeak-ng"}


@dataclass(frozen=True, slots=True)
class Manner:
    """How to speak: ``rate`` in words a minute, the ``language`` as a BCP 47 tag, or a program's own ``voice``."""

    rate: int = USUAL_RATE
    language: str = "en"
    voice: str | None = None

    def __post_init__(self) -> None:
        if not SLOWEST <= self.rate <= FASTEST:
            raise InvalidInput(f"a rate of {self.rate!r} can't be spoken; give {SLOWEST} to {FASTEST} words a minute")
        for name in filter(None, (self.language, self.voice)):
            if name.startswith("-") or not name.isprintable():
                raise InvalidInput(f"{name!r} is no voice; espeak-ng --voices lists them")


def require_program(*, to_file: bool = False) -> str:
    """The path of the program that speaks; only espeak-ng can write a file. Raises SpeechError if there is none."""
    for name in ("espeak-ng",) if to_file else ("spd-say", "espeak-ng"):
        if found := shutil.which(name):
            return found
    command = _INSTALL.get(sys.platform, "see https://github.com/espeak-ng/espeak-ng")
    raise SpeechError(f"no program to speak with ({'' if to_file else 'spd-say or '}espeak-ng); run: {command}")


def say_aloud(program: str, sentence: str, manner: Manner, stopped: Callable[[], bool]) -> None:
    """Speak one sentence, and return when it was heard, or soon after ``stopped()`` is true. Raises SpeechError."""
    is_service = Path(program).name == "spd-say"
    _run([program, *(_service_options(manner) if is_service else _espeak_options(manner))], sentence, stopped)
    if is_service and stopped():  # it is the service that speaks, not the program that was ended
        subprocess.run([program, "--cancel"], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


def write_wav(program: str, sentence: str, manner: Manner, target: Path, stopped: Callable[[], bool]) -> None:
    """Write one sentence as a WAV file. Raises SpeechError."""
    _run([program, *_espeak_options(manner), "-w", os.fspath(target.absolute())], sentence, stopped)


def _espeak_options(manner: Manner) -> list[str]:
    return ["--stdin", "-b", "1", "-s", str(manner.rate), "-v", manner.voice or manner.language.lower()]


def _service_options(manner: Manner) -> list[str]:
    """``-e``: what comes on standard input is spoken; ``-w``: it ends when it was spoken."""
    wanted = ["-e", "-w", "-r", str(_relative(manner.rate)), "-l", manner.language.partition("-")[0]]
    return [*wanted, "-y", manner.voice] if manner.voice else wanted


def _relative(rate: int) -> int:
    """Words a minute on the scale of speech-dispatcher: -100 is the slowest, 0 usual, 100 the fastest."""
    span = FASTEST - USUAL_RATE if rate > USUAL_RATE else USUAL_RATE - SLOWEST
    return round(100 * (rate - USUAL_RATE) / span)


def _run(command: list[str], sentence: str, stopped: Callable[[], bool]) -> None:
    """Run a program on a sentence until it ends, or kill it where ``stopped()`` is true: nothing of it is left."""
    if stopped():
        return
    with tempfile.TemporaryFile() as said:
        try:
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=said)
        except OSError as error:
            raise SpeechError(f"{command[0]!r} can't be run: {error.strerror}; check that it is a program") from error
        try:
            _give(process.stdin, sentence)
            _wait(process, stopped)
        finally:
            process.kill()
            process.wait()
        if not stopped():
            _require_spoken(process, command, said)


def _give(stream: IO[bytes] | None, sentence: str) -> None:
    assert stream is not None
    with contextlib.suppress(BrokenPipeError):  # it has ended; why, its own words say
        stream.write(f"{sentence}\n".encode())
    with contextlib.suppress(BrokenPipeError):
        stream.close()


def _wait(process: subprocess.Popen[bytes], stopped: Callable[[], bool]) -> None:
    while not stopped():
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_POLL)
            return


def _require_spoken(process: subprocess.Popen[bytes], command: list[str], said: IO[bytes]) -> None:
    """Where there is no loudspeaker, espeak-ng says so and ends as if all were well."""
    if process.returncode < 0:  # ended by a signal: Ctrl-C reaches it, too
        return
    said.seek(0)
    lines = said.read().decode(errors="replace").splitlines()
    errors = [line for line in lines if line.lower().startswith("error")] or (lines if process.returncode else [])
    if errors or process.returncode:
        why = errors[-1] if errors else f"status {process.returncode}"
        raise SpeechError(f"{Path(command[0]).name} could not speak ({why}); try: {Path(command[0]).name} hello")
