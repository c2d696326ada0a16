"""The addresses of the page. Names of conversations stand in queries, which no log has."""

from __future__ import annotations

from starlette.routing import BaseRoute, Route

from . import asking, changes, files
from .conversation import show
from .door import Door
from .listing import listing
from .seal import Seal
from .visit import Handler

__all__ = ["web_routes"]


def web_routes() -> list[BaseRoute]:
    """The page as routes for ``create_app(..., routes=web_routes())``."""
    seal = Seal()

    def page(path: str, handler: Handler, method: str = "GET") -> Route:
        return Route(path, Door(handler, seal), methods=[method])

    return [
        Route("/static/page.css", files.style),
        Route("/static/page.js", files.script),
        Route("/static/icon.svg", files.icon),
        page("/", listing),
        page("/new", changes.begin, "POST"),
        page("/language", changes.speak, "POST"),
        page("/chat", show),
        page("/chat/picture", files.picture),
        page("/chat/export", files.export),
        page("/chat/ask", asking.ask, "POST"),
        page("/chat/retry", asking.retry, "POST"),
        page("/chat/fork", changes.fork, "POST"),
        page("/chat/undo", changes.undo, "POST"),
        page("/chat/delete", changes.confirm),
        page("/chat/delete", changes.delete, "POST"),
    ]
