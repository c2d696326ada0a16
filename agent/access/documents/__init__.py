"""Documents with pictures: HTML, Markdown, EPUB, DOCX. What stands where, and new alternative texts, byte for byte.

document = open_document("page.html")
for place in document.places:
    print(place.where, place.source, place.alt)
document.written({0: "A red circle"})  # the bytes of the file with a text for the first picture
"""

from __future__ import annotations

from .document import Document
from .opening import SUFFIXES, open_document
from .place import Context, Place, Where

__all__ = ["Context", "Document", "Place", "SUFFIXES", "Where", "open_document"]
