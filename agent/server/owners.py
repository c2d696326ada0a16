"""Who may ask: tokens, each with the name of its owner, compared in constant time."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
from collections.abc import Mapping
from pathlib import Path

from ...errors import InvalidInput

__all__ = ["Owners", "stored_name"]

TOKEN_VARIABLE = "LOOKTWICE_TOKEN"
_SHORTEST = 16
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}")


class Owners:
    """The tokens of a server by their owners; without any, everybody who reaches it is the one owner "".

    The owner "" has the conversations of the memory as the command line sees them; those of any other lie apart, under
    ``OWNER/NAME``.
    """

    def __init__(self, tokens: Mapping[str, str] | None = None) -> None:
        """``tokens`` by owner. Raises InvalidInput for a token that is too short, or an owner that can't be one."""
        self._digests = {owner: _digest(_long_enough(token, owner)) for owner, token in (tokens or {}).items()}
        for owner in self._digests:
            if owner and not _NAME.fullmatch(owner):
                raise InvalidInput(f"{owner!r} can't own a token; give a letter and then letters, digits, '_' or '-'")

    def __bool__(self) -> bool:
        """Whether a token is needed at all."""
        return bool(self._digests)

    @classmethod
    def read(cls, file: str | os.PathLike[str] | None = None) -> Owners:
        """The token of ``$LOOKTWICE_TOKEN``, and those of a file with a line ``OWNER TOKEN`` for each.

        Raises InvalidInput for a file that can't be read, or holds something else.
        """
        tokens: dict[str, str] = {}
        if os.environ.get(TOKEN_VARIABLE):
            tokens[""] = os.environ[TOKEN_VARIABLE]
        for number, line in enumerate(_lines(file), 1):
            words = line.split()
            if not words or line.startswith("#"):
                continue
            if len(words) > 2:
                raise InvalidInput(f"line {number} of {os.fspath(file or '')!r} is no 'OWNER TOKEN'")
            owner = words[0] if len(words) == 2 else ""
            if owner in tokens:
                raise InvalidInput(f"{owner or 'the owner without a name'} has two tokens; give it one")
            tokens[owner] = words[-1]
        return cls(tokens)

    def of(self, authorization: str | None) -> str | None:
        """The owner that an ``Authorization`` header speaks for; None if it speaks for nobody.

        ``Bearer TOKEN``, or ``Basic`` with the token as password, as browsers ask for it.
        """
        if not self._digests:
            return ""
        presented, found = _digest(_presented(authorization or "")), None
        for owner, digest in self._digests.items():  # always all of them
            if hmac.compare_digest(presented, digest):
                found = owner
        return found


def stored_name(name: str, owner: str) -> str:
    """The name in the memory of an owner's conversation: each owner's lie apart. Raises InvalidInput for a slash."""
    if "/" in name:
        raise InvalidInput(f"{name[:80]!r} can't name a conversation here: it has a slash; take another name")
    return f"{owner}/{name}" if owner else name


def _presented(authorization: str) -> str:
    kind, _, value = authorization.partition(" ")
    if kind.lower() == "bearer":
        return value.strip()
    if kind.lower() != "basic":
        return ""
    try:
        return base64.b64decode(value, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="replace")).digest()


def _long_enough(token: str, owner: str) -> str:
    if len(token) < _SHORTEST:
        whose = f" of {owner}" if owner else ""
        raise InvalidInput(
            f"the token{whose} has {len(token)} characters; give {_SHORTEST} or more, as from: openssl rand -hex 24"
        )
    return token


def _lines(file: str | os.PathLike[str] | None) -> list[str]:
    if file is None:
        return []
    try:
        return Path(file).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise InvalidInput(f"the file of tokens {os.fspath(file)!r} can't be read: {why}") from error
