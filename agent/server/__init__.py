"""A server with OpenAI's interface, over agents (the extra "server": Starlette and uvicorn)."""

from __future__ import annotations

from ...errors import MissingExtra

try:
    import starlette  # noqa: F401
    import uvicorn  # noqa: F401
except ImportError as error:
    raise MissingExtra("the server (starlette, uvicorn)", "server") from error

from .app import create_app
from .caps import Caps
from .house import House
from .owners import Owners
from .serving import Server, bound, require_token

__all__ = ["Caps", "House", "Owners", "Server", "bound", "create_app", "require_token"]
