"""Answers are spoken while they come: whole sentences, through standard input, stopped at once, joined in a file."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import threading
import time
import wave
from pathlib import Path
from typing import Any

import pytest

from looktwice import Agent, LookTwiceError, ScriptedBackend
from looktwice.agent.access.voice import Manner, Voice
from looktwice.agent.access.voice.sentences import Sentences, speakable
from looktwice.agent.cli.follow import follow, stopped_by_interrupt
from looktwice.agent.cli.output import Lines
from looktwice.agent.events import Text

needs_espeak = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="needs a program: apt install espeak-ng")
ANSWER = "The total is 12.10. Two lines, e.g. Soup and Bread, add up to it! Dr. Who paid"


def until(done: threading.Event | Path, seconds: float = 60) -> bool:
    """Whether it came: an event, or a file with something in it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if done.is_set() if isinstance(done, threading.Event) else done.exists() and done.stat().st_size > 0:
            return True
        time.sleep(0.01)
    return False


def frames(path: Path) -> int:
    with wave.open(os.fspath(path), "rb") as read:
        assert (read.getnchannels(), read.getsampwidth()) == (1, 2)
        return read.getnframes()


def program(folder: Path, name: str, does: str) -> None:
    """A program of that name, the only one that is found."""
    script = folder / name
    script.write_text(f"#!/bin/sh\n{does}\n", encoding="utf-8")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for programs, found before those of the system."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}/usr/bin{os.pathsep}/bin")
    return folder


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_sentences_are_whole_however_they_come(size: int) -> None:
    heard = Sentences()
    whole = [sentence for at in range(0, len(ANSWER), size) for sentence in heard.feed(ANSWER[at : at + size])]
    assert whole == ["The total is 12.10.", "Two lines, e.g. Soup and Bread, add up to it!"]
    assert heard.rest() == ["Dr. Who paid"]
    assert heard.rest() == []


def test_a_line_is_a_sentence_and_one_without_end_is_begun() -> None:
    assert Sentences().feed("Soup\n\nBread 2.20\n1. One\n") == ["Soup", "Bread 2.20", "1. One"]
    long = "word " * 200
    assert [len(piece) for piece in Sentences().feed(long)] == [399, 399]
    assert Sentences().feed("\u4f60\u597d\u3002\u518d\u89c1\u3002") == ["\u4f60\u597d\u3002", "\u518d\u89c1\u3002"]


def test_what_is_spoken_is_never_a_command() -> None:
    assert speakable("[[h@l'oU]] \x1b[31mred\x1b[0m \u202e") == "[ [h@l'oU]] [31mred [0m"
    assert speakable("!-!SET SELF VOLUME -100") == "! - !SET SELF VOLUME -100"
    assert speakable(" ... \n") == ""


def test_words_go_to_standard_input_and_settings_to_the_command_line(programs: Path) -> None:
    program(programs, "spd-say", f'echo "$@" >> {programs}/options; cat >> {programs}/words')
    with Voice(Manner(rate=450, language="de-AT", voice="Anna")) as voice:
        voice.hear("Die Summe ist 12,10. Mehr steht nicht da")
    assert (programs / "words").read_text() == "Die Summe ist 12,10.\nMehr steht nicht da\n"
    assert (programs / "options").read_text().splitlines() == ["-e -w -r 100 -l de -y Anna"] * 2


def test_stopping_ends_the_program_and_what_it_had_still_to_say(programs: Path) -> None:
    begun = programs / "begun"
    program(programs, "spd-say", f'if [ "$1" = --cancel ]; then echo yes > {begun}.cancelled; exit; fi\n'
            f"cat >> {programs}/words; echo $$ > {begun}; exec sleep 600")  # fmt: skip
    stop = threading.Event()
    with Voice() as voice:
        voice.begin(stop)
        voice.hear("One. Two. Three. ")
        assert until(begun)
        stop.set()
        voice.end()
        assert (programs / "words").read_text() == "One.\n"
        with pytest.raises(ProcessLookupError):
            os.kill(int(begun.read_text()), 0)
        assert Path(f"{begun}.cancelled").exists()  # the service would go on
        begun.unlink()
        voice.begin(threading.Event())  # and the next answer is spoken again
        voice.hear("Four.\n")
        assert until(begun)
        voice.silence()
    assert (programs / "words").read_text() == "One.\nFour.\n"


def test_ctrl_c_silences_an_answer_that_is_being_spoken(programs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    begun = programs / "begun"
    program(programs, "spd-say", f'cat > /dev/null; echo $$ > {begun}; [ -n "$2" ] && exec sleep 600')
    agent = Agent(ScriptedBackend(["One word. And a second sentence."]), memory=":memory:")
    with agent, Voice() as voice, stopped_by_interrupt() as cancel:
        voice.begin(cancel)
        threading.Thread(target=lambda: until(begun) and os.kill(os.getpid(), signal.SIGINT), daemon=True).start()
        answer = follow(agent.chat("c").stream("Say it.", cancel=cancel), Lines(), voice=voice)
        voice.end()
        assert cancel.is_set()
    assert "One word." in capsys.readouterr().out
    assert answer.text.startswith("One word.")
    with pytest.raises(ProcessLookupError):
        os.kill(int(begun.read_text()), 0)


def test_no_program_is_one_line_with_the_command_that_installs_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LookTwiceError, match=r"^no program to speak with \(spd-say or espeak-ng\); run: .*espeak-ng$"):
        Voice()
    with pytest.raises(LookTwiceError, match=r"^no program to speak with \(espeak-ng\)"):
        Voice(aloud=False, file=tmp_path / "a.wav")


def test_a_program_that_fails_is_told_once_and_leaves_no_file(programs: Path, tmp_path: Path) -> None:
    program(programs, "espeak-ng", 'echo "ALSA lib: cannot find card" >&2; echo "error: No such device" >&2')
    with Voice() as voice:
        voice.hear("One. Two. ")
        with pytest.raises(LookTwiceError, match=r"^espeak-ng could not speak \(error: No such device\)"):
            voice.end()
        voice.end()
    voice = Voice(aloud=False, file=tmp_path / "a.wav")
    voice.hear("One. ")
    with pytest.raises(LookTwiceError):
        voice.close()
    assert list(tmp_path.glob("*.wav*")) == []


@pytest.mark.parametrize("wrong", [{"rate": 20}, {"voice": "-w/tmp/x"}, {"language": "de\n"}])
def test_a_manner_that_is_none_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(LookTwiceError):
        Manner(**wrong)


@needs_espeak
def test_the_first_sound_is_there_before_the_answer_ends(tmp_path: Path) -> None:
    target = tmp_path / "answer.wav"
    agent = Agent(ScriptedBackend(["The circle is red. The square is blue."]), memory=":memory:")
    heard, at_first = "", 0
    with agent, Voice(aloud=False, file=target) as voice:
        assert voice.growing is not None
        for event in agent.chat("c").stream("What is there?"):
            if isinstance(event, Text):
                heard += event.text
                voice.hear(event.text)
                if heard.strip().endswith("red. The"):
                    assert until(voice.growing)
                    while not at_first:
                        at_first = frames(voice.growing)
                    assert not target.exists()
    assert list(tmp_path.iterdir()) == [target]
    assert frames(target) > 1.5 * at_first > 0


@needs_espeak
def test_sentences_are_joined_without_a_gap_or_a_second_header(tmp_path: Path) -> None:
    def spoken(name: str, text: str, **manner: Any) -> Path:
        with Voice(Manner(**manner), aloud=False, file=tmp_path / name) as voice:
            voice.hear(text)
        return tmp_path / name

    both, slow = spoken("both.wav", "One. Two."), spoken("slow.wav", "One. Two.", rate=90)
    assert frames(both) == frames(spoken("one.wav", "One.")) + frames(spoken("two.wav", "Two."))
    assert both.stat().st_size == 44 + 2 * frames(both)
    assert frames(slow) > 1.3 * frames(both)
    assert spoken("de.wav", "One. Two.", language="de").read_bytes() != both.read_bytes()


@needs_espeak
def test_nothing_said_leaves_the_file_that_was_there(tmp_path: Path) -> None:
    target = tmp_path / "a.wav"
    target.write_bytes(b"before")
    voice = Voice(aloud=False, file=target)
    voice.hear(" ... ")
    assert voice.close() is False
    with pytest.raises(RuntimeError), Voice(aloud=False, file=target) as broken:
        broken.hear("Something. ")
        raise RuntimeError("the model failed")
    assert target.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [target]
    with pytest.raises(LookTwiceError, match="no such folder"):
        Voice(aloud=False, file=tmp_path / "nowhere" / "a.wav")
