"""Documents that tests make with real tools, in a folder with three small pictures."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw, ImageFont

SOURCE = """---
title: Trip & tour
---

# Pictures

A wall stands here.

![](wall.png)

Inline ![](door.jpg) and linked [![](sign.png)](https://example.org/tour).

## Second

Last words ![A door that is closed](door.jpg).
"""
"""What pandoc makes documents of: three pictures without a text and one with a good one."""


def draw_pictures(folder: Path) -> None:
    """wall.png and door.jpg show a shape, sign.png a word and nothing else."""
    for name, colour, box in (("wall.png", "red", (20, 20, 80, 80)), ("door.jpg", "blue", (100, 90, 170, 160))):
        image = Image.new("RGB", (192, 192), "#f7f5ee")
        ImageDraw.Draw(image).ellipse(box, fill=colour)
        image.save(folder / name)
    sign = Image.new("RGB", (220, 90), "white")
    ImageDraw.Draw(sign).text((110, 45), "EXIT", fill="black", font=ImageFont.load_default(44), anchor="mm")
    sign.save(folder / "sign.png")


def pandoc(folder: Path, name: str) -> Path:
    """The same text as a document of any format, named in ``folder``; skips where there is no pandoc."""
    if shutil.which("pandoc") is None:
        pytest.skip("needs pandoc: apt-get install pandoc")
    (folder / "source.md").write_text(SOURCE, encoding="utf-8")
    kind = ["-t", "gfm"] if name.endswith(".md") else []
    subprocess.run(["pandoc", "source.md", "-s", *kind, "-o", name], cwd=folder, check=True, capture_output=True)
    return folder / name


def word(folder: Path, name: str = "made.docx") -> Path:
    """A document by python-docx: a heading, a paragraph, two pictures, a table."""
    import docx

    document: Any = docx.Document()
    document.add_heading("Shapes")
    document.add_paragraph("Here is a wall.")
    document.add_picture(str(folder / "wall.png"))
    document.add_paragraph("A red circle on paper", style="Caption")
    document.add_picture(str(folder / "door.jpg"))
    document.add_table(rows=1, cols=1)
    document.save(folder / name)
    return folder / name


def book(folder: Path, name: str = "made.epub") -> Path:
    """A book by ebooklib: one chapter with two pictures, one of which has the name of its file as its text."""
    from ebooklib import epub  # pyright: ignore[reportMissingTypeStubs]

    made: Any = epub.EpubBook()
    made.set_identifier("looktwice-test")
    made.set_title("Shapes")
    made.set_language("en")
    chapter: Any = epub.EpubHtml(title="One", file_name="one.xhtml", lang="en")
    chapter.content = '<h1>One</h1><p>Here <img src="img/wall.png"/> &amp; <img src="img/door.jpg" alt="door.jpg"/></p>'
    made.add_item(chapter)
    for picture, mime in (("wall.png", "image/png"), ("door.jpg", "image/jpeg")):
        content = (folder / picture).read_bytes()
        made.add_item(epub.EpubItem(file_name=f"img/{picture}", content=content, media_type=mime))
    made.toc, made.spine = [chapter], ["nav", chapter]
    made.add_item(epub.EpubNcx())
    made.add_item(epub.EpubNav())
    writer: Any = epub
    writer.write_epub(str(folder / name), made)
    return folder / name
