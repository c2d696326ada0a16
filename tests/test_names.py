"""Names of pictures: what may be one, how files' names become one, where a text mentions one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from looktwice import errors
from looktwice.memory import check_name, fold, mentions, name_from


@pytest.mark.parametrize(
    "name", ["bill", "Bill_2", "menu-card", "bill.zoom1", "bill.zoom1.zoom12", "Ünï", "चित्र", "図1", "a"]
)
def test_a_good_name_is_returned_as_it_is(name: str) -> None:
    assert check_name(name) == name


def test_a_name_comes_back_composed() -> None:
    assert check_name("u\u0308ber") == "über"


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "1a",
        "_a",
        "-a",
        "a-",
        "a--b",
        "a b",
        ".a",
        "a.",
        "bill.zoom",
        "a.1",
        "a\n",
        "a@b",
        "<image>",
        "a/b",
        "a\0",
    ],
)
def test_a_bad_name_is_refused_in_one_line_that_says_what_to_do(name: str) -> None:
    with pytest.raises(errors.InvalidInput) as caught:
        check_name(name)
    message = str(caught.value)
    assert repr(name) in message
    assert "start with a letter" in message
    assert "\n" not in message


def test_a_name_has_at_most_64_characters() -> None:
    assert check_name("a" * 64) == "a" * 64
    with pytest.raises(errors.InvalidInput, match="has 65 characters; 64 at most"):
        check_name("a" * 65)


@pytest.mark.parametrize(
    ("stem", "name"),
    [
        ("IMG_1234", "img_1234"),
        ("My photo (1)", "my-photo-1"),
        ("2024-05-01", "picture-2024-05-01"),
        ("bill.zoom1", "bill-zoom1"),
        ("", "picture"),
        ("...", "picture"),
        ("___", "picture"),
        ("Über", "über"),
        ("x" * 100, "x" * 32),
    ],
)
def test_a_file_name_becomes_a_name(stem: str, name: str) -> None:
    assert name_from(stem) == name


@given(st.text())
def test_any_text_becomes_a_name_that_can_be_one(stem: str) -> None:
    assert check_name(name_from(stem)) == name_from(stem)


@given(st.text())
def test_names_from_text_are_found_when_mentioned(stem: str) -> None:
    assert mentions(f"look at @{name_from(stem)}, please") == [name_from(stem)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Does @bill match @menu?", ["bill", "menu"]),
        ("Read @bill.zoom1.", ["bill.zoom1"]),
        ("It is in @bill. Then look", ["bill"]),
        ("It is in @bill.Then look", ["bill"]),
        ("(@bill) '@menu' @a-b- @c's", ["bill", "menu", "a-b", "c"]),
        ("@bill and again @BILL", ["bill"]),
        ("write to ann@example.org", []),
        (r"a literal \@bill", []),
        ("https://example.org/@ann and @@x", []),
        ("@1 @ @. @-a", []),
        ("@चित्र and @über", ["चित्र", "über"]),
    ],
)
def test_mentions(text: str, found: list[str]) -> None:
    assert mentions(text) == found


@given(st.text())
def test_every_mention_but_a_long_one_is_a_name(text: str) -> None:
    for name in mentions(text):
        assert len(name) > 64 or check_name(name) == name


def test_case_and_composition_do_not_tell_names_apart() -> None:
    assert fold("BILL") == fold("bill")
    assert fold("STRASSE") == fold("straße")
    assert fold("U\u0308ber") == fold("über")
