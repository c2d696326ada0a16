"""What is kept: conversations as trees of turns, pictures and their recipes, search; one SQLite file."""

from __future__ import annotations

from .approvals import Approval, Approvals
from .conversations import CURRENT, Conversation, Conversations
from .memory import Memory
from .names import check_name, fold, mentions, name_from
from .parts import (
    ImagePart,
    Json,
    Part,
    Role,
    Status,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    ToolsPart,
    ToolSpec,
    Turn,
)
from .picture import Picture, decode, perceptual_hash, pixel_hash
from .pictures import NamedPicture, Pictures
from .recipe import Box, Recipe
from .search import Alike, Hit
from .turns import Turns
from .verify import Damage

__all__ = [
    "Alike",
    "Approval",
    "Approvals",
    "Box",
    "CURRENT",
    "Conversation",
    "Conversations",
    "Damage",
    "Hit",
    "ImagePart",
    "Json",
    "Memory",
    "NamedPicture",
    "Part",
    "Picture",
    "Pictures",
    "Recipe",
    "Role",
    "Status",
    "TextPart",
    "ToolCallPart",
    "ToolResultPart",
    "ToolSpec",
    "ToolsPart",
    "Turn",
    "Turns",
    "check_name",
    "decode",
    "fold",
    "mentions",
    "name_from",
    "perceptual_hash",
    "pixel_hash",
]
