"""What the command line can't use is refused in one line, with the right exit status, and nothing is kept."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from looktwice import Agent, ScriptedBackend
from looktwice.agent.cli import main
from looktwice.memory import Memory

QUESTION = "What colour is the circle?"


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def huge_png() -> bytes:
    """A PNG that says it is 30000 by 30000 pixels."""
    header = struct.pack(">IIBBBBB", 30000, 30000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b"")
    )


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with good and bad files, and a database with one conversation."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOOKTWICE_DB", "chat.db")
    for name in ("LOOKTWICE_MODEL", "LOOKTWICE_CHAT", "LOOKTWICE_DEVICE", "LOOKTWICE_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    Image.new("RGB", (200, 200), "red").save("good.png")
    Image.effect_noise((300, 300), 80).convert("RGB").save("other.jpg")
    files = {
        "text.png": b"hello",
        "empty.png": b"",
        "cut.jpg": Path("other.jpg").read_bytes()[:5000],
        "huge.png": huge_png(),
        "drawing.svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        "paper.pdf": b"%PDF-1.7\n",
        "damaged.db": b"not a database " * 100,
    }
    for name, data in files.items():
        Path(name).write_bytes(data)
    Path("folder.png").mkdir()
    with Agent(ScriptedBackend(["Red."]), memory="chat.db") as agent:
        chat = agent.chat("c")
        chat.add("good.png", "bill")
        chat.ask(QUESTION)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, prog_name="looktwice")


def kept() -> list[tuple[str, int, int]]:
    """Each conversation with the number of its turns and pictures."""
    with Memory("chat.db") as memory:
        return [
            (c.name, len(memory.turns.branch(c.head)), len(memory.pictures.all(c))) for c in memory.conversations.list()
        ]


PICTURES = {
    "text.png": "'text.png' holds text, not a picture",
    "empty.png": "'empty.png' is empty (0 bytes)",
    "cut.jpg": "'cut.jpg' is damaged or cut short",
    "huge.png": "'huge.png' has far more pixels, over the limit of 50 million",
    "drawing.svg": "'drawing.svg' is SVG, a drawing without pixels; convert it to PNG first",
    "paper.pdf": "'paper.pdf' is a PDF, not a picture",
    "folder.png": "'folder.png' is a folder",
    "missing.png": "'missing.png' does not exist",
    "https://example.org/a.png": "'https://example.org/a.png' is a URL; fetching is not part of looktwice",
    "bill=missing.png": "'missing.png' does not exist",
    "a/b=good.png": "'a/b' can't be a name",
    "1=good.png": "'1' can't be a name",
}


@pytest.mark.parametrize("spec", PICTURES)
def test_a_picture_that_can_not_be_used_is_refused(folder: Path, spec: str) -> None:
    before = kept()
    result = run("ask", "-i", "first=good.png", "-i", spec, QUESTION, "--chat", "new")
    assert (result.exit_code, result.stdout) == (1, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"error: {PICTURES[spec]}")
    assert kept() == before


ASKED: dict[str, tuple[list[str], str]] = {
    "a name that nothing has": (["What is in @bil?", "--chat", "c"], "no picture named 'bil'; did you mean 'bill'?"),
    "a name in a new conversation": (["What is in @bill?", "--chat", "new"], "no picture named 'bill'; add it first"),
    "a name that is taken": (
        ["-i", "bill=other.jpg", "What is in @bill?", "--chat", "c"],
        "'bill' is another picture here already",
    ),
    "one name for two pictures": (
        ["-i", "x=good.png", "-i", "x=other.jpg", "What is in @x?", "--chat", "new"],
        "'x' is another picture here already",
    ),
    "an empty question": (["  ", "--chat", "new"], "the question is empty"),
    "an unknown model": ([QUESTION, "--model", "nope"], "no model 'nope'; give 'pocket', a folder, or a hub name"),
    "a model that is not here": (
        [QUESTION, "--model", "llava-hf/nope-7b"],
        "the model 'llava-hf/nope-7b' is not on this machine and looktwice never downloads; run: hf download",
    ),
    "a folder without a model": ([QUESTION, "--model", "."], "the folder '.' has no config.json"),
    "an unknown device": ([QUESTION, "--device", "tpu"], "device 'tpu' is not there"),
    "a tool in no module": (
        [QUESTION, "--tools", "nowhere:f"],
        "tool 'nowhere:f' can't be loaded: ModuleNotFoundError: No module named 'nowhere'; "
        "run it from its folder or install it",
    ),
    "an unknown tool": ([QUESTION, "--tools", "zom"], "no tool named 'zom'; did you mean 'zoom'?"),
    "a temperature too high": ([QUESTION, "--temperature", "9"], "temperature 9.0 can't be used"),
    "a conversation without a name": ([QUESTION, "--chat", ""], "'' can't name a conversation"),
    "a damaged database": ([QUESTION, "--db", "damaged.db"], "'damaged.db' is not a looktwice database"),
    "a database in no folder": ([QUESTION, "--db", "no/such.db"], "the folder 'no' of the database does not exist"),
    "a folder as a database": ([QUESTION, "--db", "."], "the database '.' is a folder"),
    "nothing to go on with": (["--go-on", "--chat", "c"], "nothing is unfinished in 'c'"),
    "nothing to ask again": (["--retry", "--chat", "new"], "there is no question in 'new' to ask again"),
}


@pytest.mark.parametrize("case", ASKED)
def test_a_question_that_can_not_be_asked_is_refused(folder: Path, case: str) -> None:
    arguments, message = ASKED[case]
    before, damaged = kept(), Path("damaged.db").read_bytes()
    result = run("ask", *arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    *others, line = result.stderr.splitlines()
    assert line.startswith(f"error: {message}")
    assert set(others) <= {"status: loading the model; Ctrl-C stops", "status: working; Ctrl-C stops"}
    assert kept() == before
    assert Path("damaged.db").read_bytes() == damaged


FAILS: dict[str, tuple[list[str], str]] = {
    "no database": (["log", "--db", "none.db"], "no database at 'none.db'; the first looktwice ask makes one"),
    "no conversation": (["log", "--chat", "d"], "no conversation named 'd'; known: c"),
    "no page of it": (["page", "--chat", "d"], "no conversation named 'd'; known: c"),
    "no prompt of it": (["prompt", "--chat", "d"], "no conversation named 'd'; known: c"),
    "no picture": (["forget", "nope", "--chat", "c"], "no picture named 'nope'"),
    "no turn": (["fork", "--chat", "c", "--at", "999"], "no turn named 999"),
    "a fork whose name is taken": (["fork", "--chat", "c", "--name", "c"], "there is a conversation named 'c' already"),
    "no approval": (["approve", "7"], "no approval named 7"),
    "no zip": (["import", "good.png"], "'good.png' is not a zip file; give one that looktwice export wrote"),
    "no file": (["import", "none.zip"], "no file 'none.zip'"),
    "a page in no folder": (["page", "--chat", "c", "-o", "no/page.html"], "can't write 'no/page.html'"),
    "an export over a folder": (["export", "--chat", "c", "-o", "folder.png"], "can't write 'folder.png'"),
    "no language": (["page", "--chat", "c", "--lang", "<b>", "-o", "-"], "'<b>' is not a language tag"),
    "no picture to compare": (["images", "--like", "text.png"], "'text.png' holds text, not a picture"),
}


@pytest.mark.parametrize("case", FAILS)
def test_a_command_that_fails_says_why(folder: Path, case: str) -> None:
    arguments, message = FAILS[case]
    before, files = kept(), set(os.listdir())
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"error: {message}")
    assert kept() == before
    assert set(os.listdir()) == files


USAGE: dict[str, tuple[list[str], str]] = {
    "no question": (["ask"], "a question is missing; write it in quotes, or - to read it from standard input"),
    "an unknown command": (["aks", QUESTION], "No such command 'aks'"),
    "an unknown option": (["ask", QUESTION, "--nope"], "No such option '--nope'"),
    "negative looks": (["ask", QUESTION, "--looks", "-1"], "Invalid value for '--looks': -1 is not in the range x>=0"),
    "no time": (["ask", QUESTION, "--timeout", "0"], "Invalid value for '--timeout': 0.0 is not in the range x>0"),
    "no tokens": (["ask", QUESTION, "--max-tokens", "0"], "Invalid value for '--max-tokens'"),
    "a seed in words": (["ask", QUESTION, "--seed", "x"], "Invalid value for '--seed': 'x' is not a valid integer"),
    "a question and --retry": (["ask", QUESTION, "--retry"], "--go-on and --retry take the place of a question"),
    "--go-on without a conversation": (["ask", "--go-on"], "--go-on and --retry need a conversation"),
    "a picture without a file": (["ask", "-i", "nope=", QUESTION], "a picture 'nope=' can't be read; write NAME=FILE"),
    "a file without a name": (["ask", "-i", "=good.png", QUESTION], "a picture '=good.png' can't be read; write NAME="),
    "images of nothing": (["images"], "name a conversation with --chat, or a picture with --like"),
    "no words": (["search"], "Missing argument 'WORDS...'"),
    "a refusal of nothing": (["approve", "--deny"], "say which call to refuse"),
    "an export of nothing": (["export"], "Missing option '--chat'"),
}


@pytest.mark.parametrize("case", USAGE)
def test_a_command_line_that_is_not_understood_exits_with_2(folder: Path, case: str) -> None:
    arguments, message = USAGE[case]
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"error: {message}")
    assert line.endswith(" --help")


def test_a_message_can_not_steer_the_terminal(folder: Path) -> None:
    result = run("log", "--chat", "\x1b]0;owned\x07\u202e")
    assert result.exit_code == 1
    assert not {"\x1b", "\x07", "\u202e"} & set(result.stderr)


def test_an_unexpected_failure_is_one_line_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object, **more: object) -> None:
        raise ZeroDivisionError("surprise\nin two lines")

    monkeypatch.setattr(Memory, "search", broken)
    result = run("search", "red")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        "error: internal error ZeroDivisionError: surprise in two lines; "
        "set LOOKTWICE_DEBUG=1 to see where, and please report it\n"
    )
    monkeypatch.setenv("LOOKTWICE_DEBUG", "1")
    assert "Traceback" in run("search", "red").stderr


def test_a_reader_that_goes_away_is_no_error(folder: Path) -> None:
    with Agent(ScriptedBackend(["word " * 2000] * 100), memory="chat.db") as agent:
        for _ in range(100):
            agent.chat("c").ask("Say much.", max_new_tokens=2000)
    code = "from looktwice.agent.cli import main; main(['log', '--chat', 'c'])"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""


def shell(command: str) -> tuple[int, str]:
    """Exit status and standard error of a command line in a real shell, where LOOKTWICE is the program."""
    program = f"{sys.executable} -c 'from looktwice.agent.cli import main; main()'"
    done = subprocess.run(
        ["sh", "-c", command.replace("LOOKTWICE", program)], stderr=subprocess.PIPE, text=True, check=False
    )
    return done.returncode, done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
@pytest.mark.parametrize("arguments", ["log --chat c", "log --json", "--help", "log --help"])
def test_a_full_disk_under_the_output_is_one_line(folder: Path, arguments: str) -> None:
    status, told = shell(f"LOOKTWICE {arguments} > /dev/full")
    full = "can't write the output (No space left on device); what was asked is kept, see: looktwice log"
    assert (status, told) == (1, f"error: {full}\n")
    assert shell(f"LOOKTWICE {arguments} > /dev/full 2> /dev/full") == (1, "")


@pytest.mark.skipif(os.name == "nt", reason="no such shell on this system")
def test_closed_streams_are_no_error(folder: Path) -> None:
    assert shell("LOOKTWICE log --chat c >&-") == (0, "")
    assert shell("LOOKTWICE log --chat c >&- 2>&- <&-") == (0, "")
    status, told = shell("LOOKTWICE ask - <&-")
    assert (status, told.startswith("error: the question is empty")) == (1, True)


@pytest.mark.parametrize("arguments", [["ask", "-"], ["chat"]])
def test_input_that_is_no_text_is_refused(folder: Path, arguments: list[str]) -> None:
    before = kept()
    result = CliRunner().invoke(main, arguments, prog_name="looktwice", input=b"caf\xe9?\n")
    told = "error: the input is not UTF-8; convert it first, as in: iconv -f LATIN1 -t UTF-8"
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (1, told)
    assert kept() == before
