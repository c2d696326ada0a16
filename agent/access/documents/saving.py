"""Files are written whole or not at all, and what was there is kept beside them."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from itertools import count
from pathlib import Path

from ....errors import InvalidInput

__all__ = ["backup_of", "replace_file", "require_writable"]


def require_writable(path: Path) -> None:
    """Raises InvalidInput for a file that is read-only, or lies in a folder that is."""
    if not os.access(path, os.W_OK):
        raise InvalidInput(f"{str(path)!r} is read-only; make it writable, or work on a copy")
    if not os.access(path.resolve().parent, os.W_OK):
        raise InvalidInput(f"the folder of {str(path)!r} is read-only; work on a copy elsewhere")


def replace_file(path: Path, data: bytes) -> None:
    """Write a file through another one beside it, so that at any moment the old or the new one is there, whole.

    A link is followed; permissions stay. Raises InvalidInput if that can't be done.
    """
    target = path.resolve()
    try:
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    except OSError as error:
        raise InvalidInput(f"{str(path)!r} can't be written: {error.strerror}; nothing was changed") from error
    try:
        with open(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            shutil.copymode(target, name)
        else:
            os.chmod(name, 0o666 & ~_umask())
        os.replace(name, target)
    except OSError as error:
        raise InvalidInput(f"{str(path)!r} can't be written: {error.strerror}; nothing was changed") from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)


def backup_of(path: Path, data: bytes) -> Path:
    """Keep bytes beside a file, under the first free name: ``page.html.bak``, ``page.html.bak2``."""
    target = path.resolve()
    for number in count(1):
        kept = target.with_name(f"{target.name}.bak{number if number > 1 else ''}")
        if not kept.exists():
            replace_file(kept, data)
            return kept
        if kept.read_bytes() == data:
            return kept
    raise AssertionError


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
