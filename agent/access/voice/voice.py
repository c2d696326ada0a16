"""An answer that is heard while it comes: sentence by sentence, aloud, into a WAV file, or both.

with Voice(Manner(language="de")) as voice:
    for event in chat.stream("Was ist auf dem Bild?"):
        if isinstance(event, Text):
            voice.hear(event.text)
    voice.end()  # returns when all was said
"""

from __future__ import annotations

import os
import queue
import tempfile
import threading
from pathlib import Path
from types import TracebackType

from ....errors import LookTwiceError
from .programs import Manner, require_program, say_aloud, write_wav
from .sentences import Sentences
from .wave import WaveFile

__all__ = ["Manner", "Voice"]


class Voice:
    """Speaks what it hears, in a thread of its own, so that the model goes on meanwhile.

    ``aloud`` speaks through ``spd-say`` or ``espeak-ng``; ``file`` is a WAV file, which is finished when the voice is
    closed. Raises SpeechError if no program is there, InvalidInput if the file can't be written.
    """

    def __init__(
        self, manner: Manner | None = None, *, aloud: bool = True, file: str | os.PathLike[str] | None = None
    ) -> None:
        self._manner = manner or Manner()
        self._speaker = require_program() if aloud else None
        self._writer = require_program(to_file=True) if file is not None else None
        self._wave = WaveFile(file) if file is not None else None
        self._sentences = Sentences()
        self._stopped = threading.Event()  # whoever asked sets it
        self._silent = threading.Event()
        self._failure: LookTwiceError | None = None
        self._queue: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Voice:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close() if kind is None else self.drop()

    @property
    def growing(self) -> Path | None:
        """The WAV file while it grows; None without one."""
        return self._wave.growing if self._wave else None

    def begin(self, stopped: threading.Event) -> None:
        """Something new is to be said; setting ``stopped`` ends it at once, within a word."""
        self.silence()
        self._stopped = stopped

    def hear(self, text: str) -> None:
        """Words as they come, of any length; whole sentences are spoken."""
        self._speak(self._sentences.feed(text))

    def end(self) -> None:
        """No more words come: returns when all of them were said, or when it was stopped. Raises SpeechError."""
        self._speak(self._sentences.rest())
        self._join()
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def silence(self) -> None:
        """Say nothing more of what was heard; what is being said is broken off."""
        self._sentences.rest()
        self._silent.set()
        self._join()
        self._silent.clear()

    def close(self) -> bool:
        """Finish what was heard, then the file. Whether there is one: nothing heard makes none."""
        try:
            self.end()
        except BaseException:
            self.drop()
            raise
        return self._wave.close() if self._wave else False

    def drop(self) -> None:
        """Be silent, and leave no file behind."""
        self.silence()
        if self._wave:
            self._wave.drop()

    def _speak(self, sentences: list[str]) -> None:
        for sentence in sentences:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="voice", daemon=True)
                self._thread.start()
            self._queue.put(sentence)

    def _join(self) -> None:
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None

    def _work(self) -> None:
        for sentence in iter(self._queue.get, None):
            if self._failure is None and not self._is_stopped():
                try:
                    self._say(sentence)
                except LookTwiceError as error:  # told by end(), in the thread that asked
                    self._failure = error

    def _say(self, sentence: str) -> None:
        if self._wave and self._writer:
            with tempfile.TemporaryDirectory(prefix="looktwice-") as folder:
                piece = Path(folder) / "sentence.wav"
                write_wav(self._writer, sentence, self._manner, piece, self._is_stopped)
                if not self._is_stopped():
                    self._wave.add(piece)
        if self._speaker:
            say_aloud(self._speaker, sentence, self._manner, self._is_stopped)

    def _is_stopped(self) -> bool:
        return self._stopped.is_set() or self._silent.is_set()
