"""The web page of a server: conversations in a browser, with little JavaScript or none."""

from __future__ import annotations

from .routes import web_routes

__all__ = ["web_routes"]
