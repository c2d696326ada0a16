"""Pictures: what is accepted and what isn't, names, crops, forgetting."""

from __future__ import annotations

import hashlib
import os
import signal
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw

from looktwice.errors import InvalidInput, PictureRejected, StoreError, UnknownName
from looktwice.memory import ImagePart, Memory, NamedPicture, Picture, Recipe, TextPart, Turn, decode, pixel_hash


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Memory]:
    with Memory(tmp_path / "chat.db") as memory:
        memory.conversations.create("trip")
        yield memory


def scene(seed: int = 0, size: tuple[int, int] = (96, 64)) -> Image.Image:
    image = Image.new("RGB", size, (240, 240, 200))
    draw = ImageDraw.Draw(image)
    draw.ellipse((10 + seed, 10, 40 + seed, 40), fill=(200, 30, seed))
    draw.rectangle((60, 30, 90 - seed, 60), fill=(20, 40, 200))
    return image


def encoded(image: Image.Image, format: str, **options: Any) -> bytes:
    buffer = BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def huge_png() -> bytes:
    """A PNG of a few bytes that claims 30000x30000."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 30000, 30000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


BAD = {
    "text renamed": (b"just some words\n", "holds text, not a picture"),
    "empty": (b"", "is empty (0 bytes)"),
    "cut jpeg": (encoded(scene(), "JPEG")[:-200], "is damaged or cut short"),
    "cut png": (encoded(scene(), "PNG")[:-60], "is damaged or cut short"),
    "cut gif": (encoded(scene(), "GIF")[:-60], "is damaged"),
    "cut webp": (encoded(scene(), "WEBP")[:-60], "is damaged"),
    "huge": (huge_png(), "over the limit of 50 million; scale it down first"),
    "rather big": (encoded(Image.new("1", (9000, 6000)), "PNG"), "has 9000x6000 pixels, over the limit of 50 million"),
    "just warned of": (encoded(Image.new("1", (10000, 9500)), "PNG"), "has 10000x9500 pixels, over the limit"),
    "sliver": (encoded(Image.new("L", (4000, 10)), "PNG"), "over the limit of 200:1"),
    "tiny": (encoded(Image.new("L", (3, 30)), "PNG"), "has 3x30 pixels; each side needs 4 or more"),
    "svg": (b"<?xml version='1.0'?><svg xmlns='x'/>", "is SVG, a drawing without pixels; convert it to PNG first"),
    "pdf": (b"%PDF-1.7\n\x00\x01", "is a PDF, not a picture; save the page as PNG first"),
    "heic": (b"\0\0\0\x18ftypheic\0\0\0\0", "is HEIC, not a picture; run: pip install pillow-heif"),
    "zip": (b"PK\x03\x04\0\0\0\0", "is a zip archive"),
    "eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "is PostScript"),
    "wrong kind": (encoded(scene(), "PPM"), "is damaged or of an unknown kind; give one of JPEG, PNG"),
    "noise": (bytes(range(256)) * 40, "is damaged or of an unknown kind"),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_is_no_picture_is_one_line_that_names_the_file(kind: str, tmp_path: Path) -> None:
    data, expected = BAD[kind]
    path = tmp_path / "menu.png"
    path.write_bytes(data)
    with pytest.raises(PictureRejected) as caught:
        Picture.load(path)
    message = str(caught.value)
    assert expected in message
    assert repr(str(path)) in message
    assert "\n" not in message


def test_a_file_over_25_mb_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "big.png"
    with path.open("wb") as file:
        file.truncate(25_000_001)
    with pytest.raises(PictureRejected, match=r"has 25\.0 MB, over the limit of 25 MB; save it smaller or as JPEG"):
        Picture.load(path)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("missing.png", "'missing.png' does not exist; check the path"),
        (".", "'.' is a folder; give the pictures in it one by one"),
        ("/dev/null", "'/dev/null' is not a regular file"),
        ("a\0b", r"'a\x00b' can't be read"),
        ("x" * 5000, "can't be read: File name too long"),
        ("https://example.org/a.png", "is a URL; fetching is not part of looktwice; download it first"),
        ("data:image/png;base64,AAAA", "is a URL"),
        (b"", "the given data is empty"),
        (7, "'int' is no picture; give a path, encoded bytes or a PIL image"),
        (None, "'NoneType' is no picture"),
    ],
)
def test_a_source_that_gives_no_picture_is_one_line(source: Any, expected: str) -> None:
    with pytest.raises(PictureRejected) as caught:
        Picture.load(source)
    assert expected in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_every_cut_of_a_picture_is_refused_or_still_whole(format: str) -> None:
    data = encoded(scene(size=(96, 64)), format)
    whole = decode(data).tobytes()
    for length in range(0, len(data), max(len(data) // 60, 1)):
        try:
            image = decode(data[:length])
        except PictureRejected:
            continue
        assert image.tobytes() == whole


@pytest.mark.parametrize(
    ("format", "mime"),
    [
        ("JPEG", "image/jpeg"),
        ("PNG", "image/png"),
        ("WEBP", "image/webp"),
        ("GIF", "image/gif"),
        ("BMP", "image/bmp"),
        ("TIFF", "image/tiff"),
        ("AVIF", "image/avif"),
    ],
)
def test_a_picture_keeps_the_bytes_it_came_with(format: str, mime: str, tmp_path: Path) -> None:
    path = tmp_path / "My Photo.bin"
    path.write_bytes(encoded(scene(), format))
    picture = Picture.load(path)
    assert picture == Picture(path.read_bytes(), mime, 96, 64, 1, "my-photo")
    assert picture.key == f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    assert (picture.pixels().mode, picture.pixels().size) == ("RGB", (96, 64))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_picture_is_upright_whatever_its_exif_says(orientation: int, format: str) -> None:
    upright = scene()
    turned = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(turned[orientation]) if orientation in turned else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    options: dict[str, Any] = {"quality": 95, "subsampling": 0} if format == "JPEG" else {"lossless": True}
    picture = Picture.load(encoded(stored, format, exif=exif, **(options if format in ("JPEG", "WEBP") else {})))
    assert (picture.width, picture.height) == (96, 64)
    difference = max(abs(a - b) for a, b in zip(picture.pixels().tobytes(), upright.tobytes(), strict=True))
    assert difference <= (60 if format == "JPEG" else 0)


@pytest.mark.parametrize(
    "mode",
    ["1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB", "HSV", "I", "F", "I;16"],
)
def test_a_pil_image_of_any_mode_becomes_a_png(mode: str) -> None:
    picture = Picture.load(Image.new(mode, (20, 10)))
    assert (picture.mime, picture.width, picture.height, picture.name) == ("image/png", 20, 10, None)
    assert picture.pixels().mode == "RGB"


def test_sixteen_bits_keep_their_brightness() -> None:
    image = Image.new("I;16", (10, 10), 0x8000)
    assert Picture.load(encoded(image, "PNG")).pixels().getpixel((0, 0)) == (128, 128, 128)


def test_floating_point_is_stretched_over_its_range() -> None:
    image = Image.new("F", (10, 10), -1.0)
    image.paste(3.0, (5, 0, 10, 10))
    pixels = Picture.load(encoded(image, "TIFF")).pixels()
    assert (pixels.getpixel((0, 0)), pixels.getpixel((9, 0))) == ((0, 0, 0), (255, 255, 255))


@pytest.mark.parametrize(("ink", "background"), [("black", (255, 255, 255)), ("white", (0, 0, 0))])
def test_transparency_goes_on_the_background_that_shows_the_drawing(ink: str, background: tuple[int, int, int]) -> None:
    image = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
    ImageDraw.Draw(image).rectangle((10, 10, 20, 20), fill=ink)
    pixels = Picture.load(encoded(image, "PNG")).pixels()
    assert pixels.getpixel((0, 0)) == background
    assert pixels.getpixel((15, 15)) == tuple(255 - value for value in background)


def test_of_an_animation_the_first_frame_is_seen_and_all_are_counted() -> None:
    frames = [scene(seed) for seed in (0, 5, 9)]
    picture = Picture.load(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    assert picture.frames == 3
    assert picture.pixels().tobytes() == decode(encoded(frames[0], "GIF")).tobytes()


def test_a_process_forked_while_another_thread_decodes_can_decode() -> None:
    big, small = encoded(Image.new("L", (7000, 7000)), "PNG"), encoded(scene(), "PNG")
    thread = threading.Thread(target=decode, args=(big,))
    thread.start()
    time.sleep(0.05)
    child = os.fork()
    if child == 0:
        try:
            signal.alarm(5)
            decode(small)
            os._exit(0)
        finally:
            os._exit(1)
    assert thread.is_alive()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    thread.join()


def test_a_pixel_hash_knows_the_size() -> None:
    assert pixel_hash(Image.new("RGB", (2, 3))) != pixel_hash(Image.new("RGB", (3, 2)))


def test_a_picture_is_kept_once_and_found_by_any_case(memory: Memory) -> None:
    picture = Picture.load(encoded(scene(), "JPEG"))
    added = memory.pictures.add("trip", picture, name="Bill", alt="A bill on a table")
    assert added == NamedPicture(
        name="Bill",
        key=picture.key,
        width=96,
        height=64,
        mime="image/jpeg",
        size=len(picture.data),
        parent=None,
        recipe=None,
        tool=None,
        turn=None,
        alt="A bill on a table",
        caption=None,
        forgotten=False,
        created=added.created,
    )
    memory.conversations.create("other")
    memory.pictures.add("other", picture)
    assert memory.pictures.add("trip", picture, name="bill") == added
    assert memory.pictures.get("trip", "BILL") == added
    assert memory.pictures.data(added.key) == picture.data
    with Memory(memory.path) as second:
        assert second.pictures.all("trip") == [added]
        assert second.pictures.pixels(added.key).tobytes() == picture.pixels().tobytes()


def test_a_name_belongs_to_one_picture(memory: Memory) -> None:
    memory.pictures.add("trip", Picture.load(scene(1)), name="Straße")
    with pytest.raises(InvalidInput, match="'Straße' is another picture here already; take another name, such as"):
        memory.pictures.add("trip", Picture.load(scene(2)), name="STRASSE")
    assert [picture.name for picture in memory.pictures.all("trip")] == ["Straße"]


def test_without_a_name_the_file_gives_one_and_numbers_follow(memory: Memory, tmp_path: Path) -> None:
    names: list[str] = []
    for seed in (1, 2, 3, 1):
        path = tmp_path / str(seed) / "photo.png"
        path.parent.mkdir(exist_ok=True)
        scene(seed).save(path)
        names.append(memory.pictures.add("trip", Picture.load(path)).name)
    assert names == ["photo", "photo2", "photo3", "photo"]
    assert memory.pictures.add("trip", Picture.load(scene(4))).name == "picture"


def test_an_unknown_name_offers_the_nearest(memory: Memory) -> None:
    memory.pictures.add("trip", Picture.load(scene()), name="menu")
    with pytest.raises(UnknownName, match="no picture named 'meun'; did you mean 'menu'"):
        memory.pictures.get("trip", "meun")


def test_crops_are_numbered_and_made_again_through_a_chain(memory: Memory, tmp_path: Path) -> None:
    bill = memory.pictures.add("trip", Picture.load(scene()), name="bill")
    first = memory.pictures.add_recipe(
        "trip", Recipe(bill.key, "crop", (10, 10, 50, 50), (80, 80)), stem="bill.zoom", tool="zoom"
    )
    second = memory.pictures.add_recipe("trip", Recipe(first.key, "crop", (20, 0, 60, 40), (40, 40)), stem="bill.zoom")
    assert (first.name, first.tool, first.parent, first.width, first.size) == ("bill.zoom1", "zoom", bill.key, 80, 0)
    assert (second.name, second.parent) == ("bill.zoom2", first.key)
    expected = scene().crop((10, 10, 50, 50)).resize((80, 80), Image.Resampling.LANCZOS).crop((20, 0, 60, 40))
    assert memory.pictures.pixels(second.key).tobytes() == expected.tobytes()
    assert decode(memory.pictures.data(second.key)).tobytes() == expected.tobytes()
    assert memory.pictures.to_original(second.key, (0, 0, 40, 40)) == (bill.key, (20, 10, 40, 30))


def test_an_equal_recipe_keeps_its_name(memory: Memory) -> None:
    bill = memory.pictures.add("trip", Picture.load(scene()), name="bill")
    recipe = Recipe(bill.key, "crop", (0, 0, 20, 20), (40, 40))
    first = memory.pictures.add_recipe("trip", recipe, stem="bill.zoom")
    assert memory.pictures.add_recipe("trip", recipe, stem="bill.other") == first


def test_a_long_chain_of_crops_still_gets_names(memory: Memory) -> None:
    key = memory.pictures.add("trip", Picture.load(scene()), name="b" * 64).key
    name = "b" * 64
    for size in range(60, 40, -1):
        crop = memory.pictures.add_recipe(
            "trip", Recipe(key, "crop", (0, 0, 40, 40), (size, size)), stem=f"{name}.zoom"
        )
        key, name = crop.key, crop.name
    assert len({picture.name for picture in memory.pictures.all("trip")}) == 21
    assert memory.verify() == []


def test_a_crop_beyond_its_parent_leaves_nothing_behind(memory: Memory) -> None:
    bill = memory.pictures.add("trip", Picture.load(scene()), name="bill")
    with pytest.raises(InvalidInput, match="reaches beyond"):
        memory.pictures.add_recipe("trip", Recipe(bill.key, "crop", (0, 0, 97, 10), (97, 10)), stem="bill.zoom")
    with pytest.raises(UnknownName, match="no picture named 'sha256:nothing'"):
        memory.pictures.add_recipe("trip", Recipe("sha256:nothing", "crop", (0, 0, 9, 9), (9, 9)), stem="bill.zoom")
    assert memory.pictures.all("trip") == [bill]


def test_notes_are_kept_by_kind(memory: Memory) -> None:
    bill = memory.pictures.add("trip", Picture.load(scene()), name="bill", alt="first")
    memory.pictures.note(bill.key, "alt", "second")
    memory.pictures.note(bill.key, "caption", "a red circle")
    memory.pictures.note(bill.key, "text", "TOTAL 42.10")
    assert memory.pictures.notes(bill.key) == {"alt": "second", "caption": "a red circle", "text": "TOTAL 42.10"}
    found = memory.pictures.get("trip", "bill")
    assert (found.alt, found.caption) == ("second", "a red circle")
    with pytest.raises(InvalidInput, match="'colour' is not a kind of note; use one of alt, caption, text"):
        memory.pictures.note(bill.key, "colour", "red")


def test_forgetting_removes_bytes_crops_and_notes_and_keeps_turns(memory: Memory) -> None:
    picture = Picture.load(encoded(Image.effect_noise((96, 64), 90).convert("RGB"), "PNG"))
    bill = memory.pictures.add("trip", picture, name="bill", alt="xylophone")
    crop = memory.pictures.add_recipe("trip", Recipe(bill.key, "crop", (0, 0, 9, 9), (9, 9)), stem="bill.zoom")
    turn = memory.turns.append("trip", Turn("user", (ImagePart("bill"), TextPart("what is it?"))))
    assert traces(picture.data, memory)
    assert memory.pictures.forget("trip", "BILL") == ["bill", "bill.zoom1"]

    assert memory.turns.get(turn.id) == turn
    assert [picture.forgotten for picture in memory.pictures.all("trip")] == [True, True]
    for key in (bill.key, crop.key):
        with pytest.raises(StoreError, match="was forgotten and its bytes are gone; add the file again"):
            memory.pictures.pixels(key)
    assert memory.pictures.notes(bill.key) == {}
    assert memory.search("xylophone") == []
    assert memory.verify() == []
    assert traces(picture.data, memory) == 0
    assert traces(b"xylophone", memory) == 0


def test_a_forgotten_picture_takes_no_notes(memory: Memory) -> None:
    bill = memory.pictures.add("trip", Picture.load(scene()), name="bill")
    memory.pictures.forget("trip", "bill")
    with pytest.raises(InvalidInput, match=f"the picture '{bill.key}' was forgotten and takes no notes"):
        memory.pictures.note(bill.key, "text", "IBAN")
    assert memory.pictures.notes(bill.key) == {}
    memory.pictures.add("trip", Picture.load(scene()), name="bill2", alt="again")
    assert memory.pictures.notes(bill.key) == {"alt": "again"}


def test_a_picture_whose_bytes_are_damaged_is_named(memory: Memory) -> None:
    bill = memory.pictures.add("trip", Picture.load(scene()), name="bill")
    memory._db.run("UPDATE pictures SET data = substr(data, 1, 99)")  # type: ignore[attr-defined]
    with pytest.raises(StoreError, match=f"the picture '{bill.key}' can't be made again: .* run verify"):
        memory.pictures.pixels(bill.key)


def traces(data: bytes, memory: Memory) -> int:
    """How many pieces of the data stand anywhere in the file or its log."""
    files = b"".join(path.read_bytes() for path in Path(memory.path).parent.glob("chat.db*"))
    return sum(data[start : start + 24] in files for start in range(0, len(data), 24))


def in_the_files(memory: Memory, words: list[bytes]) -> list[bytes]:
    data = b"".join(Path(f"{memory.path}{end}").read_bytes() for end in ("", "-wal"))
    return [word for word in words if word in data]


def test_what_is_forgotten_in_a_transaction_has_left_the_files_when_that_ends(memory: Memory) -> None:
    photo = Picture.load(Image.effect_noise((60, 40), 90).convert("RGB"))
    picture = memory.pictures.add("trip", photo, name="bill", alt="zebra")
    memory.conversations.create("other")
    memory.turns.append("other", Turn("user", (TextPart("okapi words"),)))
    words = [photo.data[100:140], b"zebra", b"okapi"]
    assert in_the_files(memory, words) == words
    with memory.atomic():
        with memory.atomic():
            memory.pictures.forget("trip", picture.name)
        memory.conversations.delete("other")
    assert in_the_files(memory, words) == []


def test_a_forgotten_name_is_never_used_again(memory: Memory) -> None:
    memory.pictures.add("trip", Picture.load(scene(1)), name="bill")
    memory.pictures.forget("trip", "bill")
    with pytest.raises(InvalidInput, match="'bill' was forgotten and its name is not used again"):
        memory.pictures.add("trip", Picture.load(scene(1)), name="bill")
    again = memory.pictures.add("trip", Picture.load(scene(1)), name="bill2")
    assert memory.pictures.pixels(again.key).tobytes() == scene(1).tobytes()


def test_bytes_stay_while_another_conversation_needs_them(memory: Memory) -> None:
    memory.conversations.create("other")
    picture = Picture.load(scene())
    for name in ("trip", "other"):
        bill = memory.pictures.add(name, picture, name="bill")
        memory.pictures.add_recipe(name, Recipe(bill.key, "crop", (0, 0, 9, 9), (9, 9)), stem="bill.zoom")
    assert memory.pictures.forget("trip", "bill") == ["bill", "bill.zoom1"]
    kept = memory.pictures.get("other", "bill.zoom1")
    assert memory.pictures.pixels(kept.key).size == (9, 9)
    assert memory.pictures.forget("other", "bill.zoom1") == ["bill.zoom1"]
    assert memory.pictures.data(picture.key) == picture.data


def test_a_conversation_survives_the_files_it_came_from(memory: Memory, tmp_path: Path) -> None:
    path = tmp_path / "menu.jpg"
    path.write_bytes(encoded(scene(), "JPEG"))
    added = memory.pictures.add("trip", Picture.load(os.fspath(path)))
    path.unlink()
    assert memory.pictures.pixels(added.key).size == (96, 64)
