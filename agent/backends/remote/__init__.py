"""Models behind any server with OpenAI's interface that takes pictures, as a backend like any other."""

from .address import Address
from .facts import Dialect
from .remote import RemoteBackend

__all__ = ["Address", "Dialect", "RemoteBackend"]
