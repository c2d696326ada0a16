"""What a form of ours carries, so that no other page can send one in somebody's name.

A browser gets a random cookie, and each form a code that only this process can make of that cookie and of the owner.
Nothing is kept of it; after a restart a page has to be loaded anew.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets

__all__ = ["COOKIE", "Seal"]

COOKIE = "looktwice"
"""The name of the cookie."""
_MARK = re.compile(r"[0-9a-f]{32}")


class Seal:
    """Makes and compares the codes of one process."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def mark(self, cookie: str | None) -> str:
        """What the browser is known by: its cookie, or a new one."""
        return cookie if cookie and _MARK.fullmatch(cookie) else secrets.token_hex(16)

    def of(self, mark: str, owner: str) -> str:
        """The code for the forms of a browser."""
        return hmac.new(self._key, f"{mark}\0{owner}".encode(), hashlib.sha256).hexdigest()

    def fits(self, code: str, mark: str, owner: str) -> bool:
        """Whether a form's code was made for this browser and owner; compared in constant time."""
        return hmac.compare_digest(code.encode(errors="replace"), self.of(mark, owner).encode())
