"""A WAV file that grows sentence by sentence, can be played while it does, and has its name only when it is whole."""

from __future__ import annotations

import os
import wave
from pathlib import Path
from typing import IO

from ....errors import InvalidInput, SpeechError

__all__ = ["WaveFile"]


class WaveFile:
    """Joins WAV files of one format in ``FILE.part`` beside the file, which ``close`` gives its name.

    Raises InvalidInput if nothing can be written there.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._target = Path(path)
        if self._target.is_dir() or not self._target.absolute().parent.is_dir():
            raise InvalidInput(f"can't write {str(path)!r}: no such folder; make it, or choose another file")
        self._growing = self._target.with_name(f"{self._target.name}.part")
        self._writer: wave.Wave_write | None = None
        self._stream: IO[bytes] | None = None
        self._format: tuple[int, int, int] | None = None

    @property
    def growing(self) -> Path:
        """Where the sound is while it grows; its header counts what is there already."""
        return self._growing

    def add(self, piece: Path) -> None:
        """Append the sound of a WAV file. Raises SpeechError if it is none, or of another format than the first."""
        try:
            with wave.open(os.fspath(piece), "rb") as read:
                of, frames = (read.getnchannels(), read.getsampwidth(), read.getframerate()), read.readframes(1 << 31)
        except (wave.Error, EOFError, OSError) as error:
            raise SpeechError(f"what was spoken is no sound ({error}); try: espeak-ng -w a.wav hello") from error
        if self._format not in (None, of):
            raise SpeechError(f"the sound changed from {self._format} to {of}; give one --voice for all of it")
        self._format = of
        self._open(of).writeframes(frames)

    def _open(self, of: tuple[int, int, int]) -> wave.Wave_write:
        if self._writer is None:
            try:
                stream = open(self._growing, "w+b", buffering=0)  # noqa: SIM115 - closed in _end
            except OSError as error:
                raise InvalidInput(f"can't write {str(self._growing)!r}: {error.strerror}") from error
            self._stream = stream
            self._writer = wave.open(stream, "wb")  # noqa: SIM115
            self._writer.setnchannels(of[0])
            self._writer.setsampwidth(of[1])
            self._writer.setframerate(of[2])
        return self._writer

    def close(self) -> bool:
        """Give the file its name. False if there was nothing to say: a file that was there stays as it is."""
        if not self._end():
            return False
        os.replace(self._growing, self._target)
        return True

    def drop(self) -> None:
        """Leave nothing behind."""
        if self._end():
            self._growing.unlink(missing_ok=True)

    def _end(self) -> bool:
        if self._writer is None or self._stream is None:
            return False
        self._writer.close()
        os.fsync(self._stream.fileno())
        self._stream.close()
        self._writer = self._stream = None
        return True
