"""Middleware for ``langchain.agents.create_agent``: a budget for pictures, approval of what acts, and a second look.

    from looktwice.agent.langchain.middleware import Approval, NamedPictures, PictureBudget, SecondLook

They work with `ChatLookTwice` and with any other vision model of LangChain, which `NamedPictures` tells the pictures'
names. Needs the extra ``langchain``.
"""

from __future__ import annotations

import importlib.util

from ....errors import MissingExtra

if importlib.util.find_spec("langchain") is None:
    raise MissingExtra("langchain, whose agents take middleware,", "langchain")

from .approval import Approval
from .budget import Lowered, PictureBudget
from .naming import NamedPictures
from .second_look import SecondLook

__all__ = ["Approval", "Lowered", "NamedPictures", "PictureBudget", "SecondLook"]
