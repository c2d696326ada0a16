"""Documents with pictures: exact places, new texts, and every other byte as it was."""

from __future__ import annotations

import base64
import io
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from documents import book, draw_pictures, pandoc, word
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from looktwice.agent.access.documents import Document, Place, open_document
from looktwice.errors import InvalidInput, PictureRejected

HOSTILE = 'A "red" <b>circle</b> & [two](x) *stars* | 3 \\ `code` \x00\x1b[2J é 漢 \n next'
CLEAN = 'A "red" <b>circle</b> & [two](x) *stars* | 3 \\ `code` [2J é 漢 next'
Write = Callable[[str, str | bytes], Path]


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the pictures, and documents that are only read."""
    folder = tmp_path_factory.mktemp("shelf")
    draw_pictures(folder)
    return folder


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a document into an empty folder."""

    def writer(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
        return path

    return writer


def changed(document: Document, data: bytes) -> Document:
    """The document that ``data`` would be."""
    other = document.path.with_name(f"changed-{document.path.name}")
    other.write_bytes(data)
    return open_document(other)


def members(data: bytes) -> list[tuple[str, bytes, int, tuple[int, ...]]]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return [(i.filename, archive.read(i), i.compress_type, i.date_time) for i in archive.infolist()]


def seen(places: tuple[Place, ...]) -> list[tuple[int, str, str | None]]:
    return [(place.where.line, place.source, place.alt) for place in places]


PAGE = """<!doctype html>
<html><head><title>A &amp; B</title></head><body>
<h1>Shapes</h1>
<p>Before <IMG SRC='wall.png' ALT> and <img src=door.jpg/> after.</p>
<figure><img
   src="sign.png" alt = "x"  class="a>b"><figcaption>A <i>sign</i></figcaption></figure>
<a href="home.html">Home <img src="a.png" alt=""></a><button><img src="b.png"></button>
<textarea><img src="no.png"></textarea><!-- <img src="no.png"> --><script>"<img src='no.png'>"</script>
<![CDATA[<img src="no.png">]]><p hidden aria-hidden="TRUE"><img src="c.png"></p>
<img role="none" src="d.png"><img aria-label="Named" src="e.png"><input type="image" src="f.png">
<map><area href="x.html"><area></map><svg role="img"><title>Sun</title></svg>
<p>unclosed <b>and bold
"""


def test_pictures_of_a_page_are_found_with_what_stands_around_them(write: Write) -> None:
    document = open_document(write("page.html", PAGE))
    assert seen(document.places) == [
        (4, "wall.png", ""),
        (4, "door.jpg/", None),
        (5, "sign.png", "x"),
        (7, "a.png", ""),
        (7, "b.png", None),
        (9, "c.png", None),
        (10, "d.png", None),
        (10, "e.png", "Named"),
        (10, "f.png", None),
        (11, "", None),
        (11, "", "Sun"),
    ]
    wall, _, sign, a, b, c, d, _, f, area, sun = document.places
    assert (wall.context.title, wall.context.heading) == ("A & B", "Shapes")
    assert (wall.context.before, wall.context.after[:10]) == ("Shapes Before", "and after.")
    assert sign.context.caption == "A sign"
    assert (a.context.link, a.context.link_text) == ("home.html", "Home")
    assert (b.context.in_button, f.kind, area.kind, area.context.link) == (True, "button", "area", "x.html")
    assert (c.is_hidden, d.is_hidden, sign.is_hidden) == (True, True, False)
    assert sun.problem == "a drawing inside the page; give it a <title>"


def test_only_the_alternative_texts_of_a_page_change(write: Write) -> None:
    document = open_document(write("page.html", PAGE.replace("\n", "\r\n")))
    written = document.written({0: HOSTILE, 1: "door", 2: "", 4: "Go"}).decode()
    quoted = CLEAN.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
    assert written == (
        PAGE.replace("\n", "\r\n")
        .replace("ALT>", f'ALT="{quoted}">')
        .replace("src=door.jpg/>", 'src=door.jpg/ alt="door">')
        .replace('alt = "x"', 'alt=""')
        .replace('src="b.png"', 'src="b.png" alt="Go"')
    )


@pytest.mark.parametrize(
    ("raw", "wanted"),
    [
        ('<meta charset="iso-8859-1">é <img src=a>'.encode("latin-1"), b'\xe9 <img src=a alt="\xe9 &#28450;">'),
        ("\ufeff<p>é <img src=a>".encode("utf-16-le"), '<p>é <img src=a alt="é 漢">'.encode("utf-16-le")),
        (b'<?xml version="1.0" encoding="koi8-r"?><p>\xc1 <img src="a"/></p>', b'<img src="a" alt="&#233; &#28450;"/>'),
        (b"<p>\xe9\x93 <img src=a>", b'<p>\xe9\x93 <img src=a alt="\xe9 &#28450;">'),
    ],
    ids=["meta", "utf-16", "xml", "undeclared"],
)
def test_a_page_keeps_its_encoding(write: Write, raw: bytes, wanted: bytes) -> None:
    document = open_document(write("page.html", raw))
    written = document.written({0: "é 漢"})
    assert wanted in written and written.startswith(raw[:16])
    assert changed(document, written).places[0].alt == "é 漢"


def test_broken_tags_are_told_and_left(write: Write) -> None:
    document = open_document(
        write("page.html", '<img src="a.png">\n<img src="b.png" alt=a"b>\n<p><img alt="open src=c.png>\n')
    )
    problem = "its tag is broken; mend it first"
    assert [(p.where.line, p.problem) for p in document.places] == [(1, ""), (2, problem), (3, problem)]
    with pytest.raises(InvalidInput, match="the picture in line 2 can't be changed: its tag is broken"):
        document.written({0: "x", 1: "y"})


MARKDOWN = """---
title: ![](front.png)
---
# A *tour* ![](head.png) #

`![](no.png)` ![](wall.png "The wall"), ![](wall.png)

> - quoted ![ref] ![][ref] ![ref][]
>   and ![a
>   b](door.jpg)

| `x` | ![](wall.png) |
|---|---|
| ![](wall.png) | ![](wall.png) |
| a \\| ![](sign.png) | ![](sign.png) |

    ![](code.png)

<figure>
  <img src="bill.png">
  <figcaption>The bill</figcaption>
</figure>

1. <a href="home.html"><img
   src="wall.png"></a> and [words ![](door.jpg)](https://x.example/) end \\![](no.png)

[ref]: sign.png "Sign"
"""


def test_pictures_of_markdown_are_found_where_they_stand(write: Write) -> None:
    document = open_document(write("page.md", MARKDOWN))
    assert seen(document.places) == [
        (4, "head.png", None),
        (6, "wall.png", None),
        (6, "wall.png", None),
        (8, "sign.png", "ref"),
        (8, "sign.png", None),
        (8, "sign.png", "ref"),
        (9, "door.jpg", "a b"),
        (12, "wall.png", None),
        (14, "wall.png", None),
        (14, "wall.png", None),
        (15, "sign.png", None),
        (15, "sign.png", None),
        (20, "bill.png", None),
        (24, "wall.png", None),
        (25, "door.jpg", None),
    ]
    assert [place.problem for place in document.places if place.problem] == []
    assert document.places[12].context.caption == "The bill"
    assert document.places[13].context.link == "home.html"
    assert document.places[14].context.link_text == "words"
    assert document.places[1].context.heading == "A tour"


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_only_the_alternative_texts_of_markdown_change(write: Write, ending: str) -> None:
    document = open_document(write("page.md", MARKDOWN.replace("\n", ending)))
    written = document.written({1: "one [x]", 3: "two", 4: "three", 5: "four", 6: "five", 9: "a|b", 10: "six", 13: ""})
    assert written.decode() == (
        MARKDOWN.replace('![](wall.png "The wall")', '![one \\[x\\]](wall.png "The wall")')
        .replace("![ref] ![][ref] ![ref][]", "![two][ref] ![three][ref] ![four][ref]")
        .replace("![a\n>   b]", "![five]")
        .replace("| ![](wall.png) | ![](wall.png) |", "| ![](wall.png) | ![a&#124;b](wall.png) |")
        .replace("a \\| ![]", "a \\| ![six]")
        .replace('src="wall.png"></a>', 'src="wall.png" alt=""></a>')
        .replace("\n", ending)
    )


def test_a_decorative_picture_of_markdown_becomes_html(write: Write) -> None:
    document = open_document(write("page.md", 'a ![](b.png "t") ![][r]\n\n[r]: <c d.png>\n'))
    written = document.written({0: "", 1: ""}).decode()
    first, second = '<img src="b.png" title="t" alt="">', '<img src="c%20d.png" alt="">'
    assert written == f"a {first} {second}\n\n[r]: <c d.png>\n"


_PIECES = st.sampled_from(
    [
        *("![](a.png)", "![x](b.png)", "`![](a.png)`", "![r]", "![][r]", "<img src=a.png>", '<a href="x">', "</a>"),
        *("> ", "- ", "  ", "\t", "\n", "\n\n", "| ", "|", "\\|", "\\", "# ", "    ", "```\n", "|---|\n"),
        *("words ", "<b", "*", "é", "[", "](y)", "<!--", "-->"),
    ]
)


@given(pieces=st.lists(_PIECES, max_size=24), data=st.data())
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_markdown_is_made_of_nothing_else_changes(
    tmp_path: Path, pieces: list[str], data: st.DataObject
) -> None:
    path = tmp_path / "page.md"
    path.write_bytes(f"{''.join(pieces)}\n\n[r]: c.png\n".encode())
    document = open_document(path)
    free = [index for index, place in enumerate(document.places) if not place.problem]
    texts = {index: data.draw(st.sampled_from(["new", "a|b [c]", ""])) for index in free}
    again = changed(document, document.written(texts))
    assert [(p.source, p.alt) for p in again.places] == [
        (place.source, texts.get(index, place.alt)) for index, place in enumerate(document.places)
    ]


@pytest.mark.parametrize("made", ["pandoc.epub", "made.epub"])
def test_only_the_chapters_of_a_book_change(tmp_path: Path, made: str) -> None:
    draw_pictures(tmp_path)
    document = open_document(pandoc(tmp_path, made) if made == "pandoc.epub" else book(tmp_path))
    written = document.written({0: HOSTILE, 1: ""})
    before, after = members(document.raw), members(written)
    assert [(name, kind, date) for name, _, kind, date in before] == [(n, k, d) for n, _, k, d in after]
    differing = [name for (name, data, *_), (_, other, *_) in zip(before, after, strict=True) if data != other]
    assert differing == [document.places[0].where.member]
    assert written[30:58] == b"mimetypeapplication/epub+zip"
    again = changed(document, written)
    assert [place.alt for place in again.places][:2] == [CLEAN, ""]
    assert document.picture(document.places[0]).width == 192


@pytest.mark.parametrize("made", ["pandoc.docx", "made.docx"])
def test_only_the_text_of_a_word_file_changes(tmp_path: Path, made: str) -> None:
    draw_pictures(tmp_path)
    document = open_document(pandoc(tmp_path, made) if made == "pandoc.docx" else word(tmp_path))
    written = document.written({0: HOSTILE, 1: ""})
    before, after = members(document.raw), members(written)
    assert [name for (name, *_), (other, *_) in zip(before, after, strict=True) if name != other] == []
    differing = [name for (name, data, *_), (_, other, *_) in zip(before, after, strict=True) if data != other]
    assert differing == ["word/document.xml"]
    again = changed(document, written)
    assert [place.alt for place in again.places][:2] == [CLEAN, ""]
    assert document.picture(document.places[0]).width == 192
    told = changed(again, again.written({1: "A door"}))  # what was decorative is described after all
    assert [place.alt for place in told.places][:2] == [CLEAN, "A door"]


def test_word_says_what_stands_around_a_picture(shelf: Path) -> None:
    wall, door = open_document(word(shelf)).places
    assert (str(wall.where), str(door.where)) == ("paragraph 3", "paragraph 5")
    assert (wall.context.heading, wall.context.caption) == ("Shapes", "A red circle on paper")
    assert wall.context.before == "Shapes Here is a wall."


def test_pictures_are_read_from_beside_the_document_and_from_nowhere_else(shelf: Path) -> None:
    inside = shelf / "inside"
    inside.mkdir()
    shutil.copy(shelf / "wall.png", inside / "wall 1.png")
    (inside / "cut.png").write_bytes((shelf / "wall.png").read_bytes()[:200])
    (inside / "draw.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')
    (inside / "link.png").symlink_to(shelf / "wall.png")
    data = base64.b64encode((shelf / "sign.png").read_bytes()).decode()
    sources = {
        "wall%201.png?v=2#top": "",
        f"data:image/png;base64,{data}": "",
        "data:image/png;base64,&": "'data:image/png;base64,&' is a damaged data URL",
        "https://x.example/a.png": "'https://x.example/a.png' is elsewhere on the network, and nothing is fetched",
        "//x.example/a.png": "is elsewhere on the network",
        "file:///etc/passwd": "'file:///etc/passwd' is no relative path",
        "../wall.png": "'../wall.png' lies outside",
        "link.png": "'link.png' lies outside",
        "/wall.png": "'/wall.png' begins at the root of a site; name its folder with --root",
        "none.png": "'none.png' is missing; check the path",
        "cut.png": "'cut.png' is damaged or cut short",
        "draw.svg": "'draw.svg' is SVG, a drawing without pixels",
        "": "the document names no picture there",
    }
    page = inside / "page.html"
    page.write_text("".join(f'<img src="{source}">' for source in sources))
    document = open_document(page)
    for place, told in zip(document.places, sources.values(), strict=True):
        if told:
            with pytest.raises(PictureRejected) as error:
                document.picture(place)
            assert told in str(error.value) and "\n" not in str(error.value)
        else:
            assert document.picture(place).width in (192, 220)
    rooted = open_document(page, root=shelf)
    assert [rooted.picture(rooted.places[index]).width for index in (6, 7, 8)] == [192, 192, 192]


def zipped(**members: str) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/").replace("_xml", ".xml"), content)
    return target.getvalue()


CONTAINER = '<container><rootfiles><rootfile full-path="a.opf"/></rootfiles></container>'


@pytest.mark.parametrize(
    ("name", "raw", "told"),
    [
        ("a.docx", bytes.fromhex("d0cf11e0a1b11ae1") + b"\0" * 600, "is encrypted, or in the old .doc format"),
        ("a.docm", b"PK", "holds macros; save it as .docx without them"),
        ("a.docx", b"nothing", "is no zip file, or cut short"),
        ("a.docx", zipped(x="y"), "is no DOCX: it lacks '[Content_Types].xml'"),
        ("a.docx", zipped(**{"[Content_Types]_xml": '<T><O ContentType="x.macroEnabled.y"/></T>'}), "holds macros"),
        ("a.docx", zipped(**{"[Content_Types]_xml": "<T>"}), "is no well-formed XML"),
        ("a.epub", zipped(x="y"), "is no EPUB: it lacks 'META-INF/container.xml'"),
        ("a.epub", zipped(**{"META-INF__container_xml": "<c/>"}), "names no manifest in 'META-INF/container.xml'"),
        ("a.epub", zipped(**{"META-INF__container_xml": CONTAINER}), "lacks 'a.opf'"),
        (
            "a.epub",
            zipped(**{"META-INF__container_xml": CONTAINER, "a.opf": "<package/>"}),
            "has no manifest in 'a.opf'",
        ),
        ("a.pdf", b"%PDF", "is no document that can be read; give one of .html"),
        ("a.html", b"\xff\xfe\x00", "can't be read as utf-16-le; save it as UTF-8 first"),
    ],
)  # fmt: skip
def test_what_can_not_be_read_is_one_clear_line(write: Write, name: str, raw: bytes, told: str) -> None:
    with pytest.raises(InvalidInput) as error:
        open_document(write(name, raw))
    assert told in str(error.value) and "\n" not in str(error.value)


def test_missing_documents_and_folders_are_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"'none.md' does not exist; check the path"):
        open_document("none.md")
    (tmp_path / "folder.md").mkdir()
    with pytest.raises(InvalidInput, match="is no file; give a document"):
        open_document(tmp_path / "folder.md")


def test_a_picture_of_a_document_is_decoded_under_the_usual_limits(shelf: Path) -> None:
    Image.new("RGB", (2, 2)).save(shelf / "dot.gif")
    page = shelf / "dot.html"
    page.write_text('<img src="dot.gif">')
    document = open_document(page)
    with pytest.raises(PictureRejected, match=r"'dot.gif' has 2x2 pixels; each side needs 4 or more"):
        document.picture(document.places[0])
