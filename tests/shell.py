"""A shell for tests: ``looktwice`` runs in this process, so that torch is loaded once; anything else really runs."""

from __future__ import annotations

import os
import shlex
import subprocess
import sysconfig
from dataclasses import dataclass

from click.testing import CliRunner

from looktwice.agent.cli import main


@dataclass(frozen=True)
class Ran:
    """A command's exit status and what it wrote; ``output`` is both streams as a terminal shows them."""

    status: int
    stdout: str
    stderr: str
    output: str


def run(command: str) -> Ran:
    """Run one command line, such as ``looktwice log`` or ``echo hello | looktwice chat``."""
    before, pipe, last = command.rpartition(" | ")
    words = shlex.split(last)
    if words[0] != "looktwice":
        return _real(command)
    result = CliRunner().invoke(main, words[1:], prog_name="looktwice", input=_real(before).stdout if pipe else None)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Ran(result.exit_code, result.stdout, result.stderr, result.output)


def _real(command: str) -> Ran:
    path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)])
    done = subprocess.run(
        command, shell=True, capture_output=True, text=True, check=False, env={**os.environ, "PATH": path}
    )
    return Ran(done.returncode, done.stdout, done.stderr, done.stdout + done.stderr)
