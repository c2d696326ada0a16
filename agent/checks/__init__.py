"""Checked answers: what an answer claims, held against what can be read in its pictures."""

from .claims import Claim, find_claims
from .evidence import Reread, check
from .readings import Piece, Reading

__all__ = ["Claim", "Piece", "Reading", "Reread", "check", "find_claims"]
