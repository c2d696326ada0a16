"""Where a server is, and the key that it is asked with."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

from ....errors import InvalidInput

__all__ = ["Address"]

_VARIABLES = ("LOOKTWICE_BASE_URL", "OPENAI_BASE_URL")
_NO_KEY = "none"  # what servers without keys are sent: OpenAI's client wants one


@dataclass(frozen=True, slots=True)
class Address:
    """``url`` is the root of the interface, such as http://127.0.0.1:8000/v1; the key is shown nowhere."""

    url: str
    key: str = field(default=_NO_KEY, repr=False)

    @classmethod
    def of(cls, base_url: str | None) -> Address:
        """The address that was given, else that of LOOKTWICE_BASE_URL or OPENAI_BASE_URL.

        The key is that of OPENAI_API_KEY. Raises InvalidInput for what is no address: nothing is asked by default.
        """
        given = base_url or next(filter(None, map(os.environ.get, _VARIABLES)), None)
        if given is None:
            raise InvalidInput(
                "a model 'openai:NAME' needs its server's address; give base_url (--base-url) or set LOOKTWICE_BASE_URL"
            )
        return cls(_checked(given.strip()), os.environ.get("OPENAI_API_KEY") or _NO_KEY)

    @property
    def host(self) -> str:
        """The server's name and port, as people are told."""
        return urlsplit(self.url).netloc

    @property
    def is_here(self) -> bool:
        """Whether the server is on this machine: what it is sent doesn't leave it."""
        name = urlsplit(self.url).hostname or ""
        if name == "localhost" or name.endswith(".localhost"):
            return True
        try:
            return ipaddress.ip_address(name).is_loopback
        except ValueError:
            return False


def _checked(url: str) -> str:
    parts = _split(url)
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        shown = url.rpartition("@")[2][:80]
        raise InvalidInput(f"base_url {shown!r} can't be used; give one such as http://127.0.0.1:8000/v1")
    if parts.username is not None or parts.password is not None:
        raise InvalidInput("base_url holds a name or a password; set the key in OPENAI_API_KEY instead")
    path = parts.path.rstrip("/") or "/v1"
    return f"{parts.scheme}://{parts.netloc}{path}"


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts
