"""Alternative texts of documents: check them, have some suggested, review them, and write the accepted ones.

check_alternatives("page.html")                       # faults, with their lines
with Agent("pocket", memory=":memory:") as agent:
    document = open_document("page.html")
    entries = suggest(document, agent)
    write_suggestions("page.html.alt.txt", document, entries, model=agent.backend.model)
...                                                   # a person decides, in an editor or with Review
apply("page.html.alt.txt")
"""

from __future__ import annotations

from ..documents import open_document
from .apply import Applied, apply
from .entry import Branch, Decision, Entry
from .faults import Fault, check_alternatives, documents_in
from .prompts import Prompts
from .review import Review
from .reviewfile import ReviewFile
from .suggest import suggest, write_suggestions

__all__ = [
    "Applied",
    "Branch",
    "Decision",
    "Entry",
    "Fault",
    "Prompts",
    "Review",
    "ReviewFile",
    "apply",
    "check_alternatives",
    "documents_in",
    "open_document",
    "suggest",
    "write_suggestions",
]
