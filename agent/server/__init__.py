"""A server with OpenAI's interface, over agents (the extra "server": Starlette and uvicorn)."""

from __future__ import annotations

from importlib.util import find_spec

from ...errors import MissingExtra

if not (find_spec("starlette") and find_spec("uvicorn")):
    raise MissingExtra("the server (starlette and uvicorn)", "server")

from .app import create_app
from .caps import Caps
from .house import House
from .owners import Owners
from .serving import Server, bound, require_token, use_few_arenas

__all__ = ["Caps", "House", "Owners", "Server", "bound", "create_app", "require_token", "use_few_arenas"]
