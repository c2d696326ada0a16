"""The Model Context Protocol, both ways: our conversations for its clients, its servers' tools for our agent."""

from ...errors import MissingExtra
from .client import McpTools, mcp_tools

try:
    from .serving import build, serve_http, serve_stdio
except ImportError as error:
    raise MissingExtra("the package for MCP (mcp)", "mcp") from error
from .sources import Sources

__all__ = ["McpTools", "Sources", "build", "mcp_tools", "serve_http", "serve_stdio"]
