"""Descriptions: a title that fits, sections, what is uncertain; nothing is invented of a picture that is black."""

from __future__ import annotations

import base64
import io
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from scenes import receipt, scene
from shell import run

from looktwice import Agent
from looktwice.agent.access import Prompts, describe
from looktwice.agent.access.describing.telling import Describer, Line, Word
from looktwice.agent.access.describing.title import title_of
from looktwice.agent.access.sentences import shortened, split
from looktwice.agent.backends import ScriptedBackend
from looktwice.agent.chat import Image as Given
from looktwice.agent.cli.output import Lines
from looktwice.agent.cli.telling import shown
from looktwice.agent.prompt import Prompt, Shown
from looktwice.errors import InvalidInput

WALL = scene(("red", "circle", "top left"), ("blue", "square", "bottom right"))
BLACK = Image.new("RGB", (200, 200))
BILL = receipt("CORNER CAFE", "Soup 6.50", "TOTAL 8.70")


def scripted(*lines: str) -> tuple[Agent, ScriptedBackend]:
    backend = ScriptedBackend(lines)
    return Agent(backend, memory=":memory:"), backend


def asked(backend: ScriptedBackend) -> list[str]:
    """What the model was asked last in each prompt."""
    return [_words(prompt) for prompt in backend.prompts]


def _words(prompt: Prompt) -> str:
    return "".join(getattr(each, "text", "") for each in prompt.messages[-1].segments).strip()


@pytest.fixture(autouse=True)
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOOKTWICE_DB", str(tmp_path / "kept.db"))
    for name in ("CHAT", "LANG", "MODEL", "PROMPTS"):
        monkeypatch.delenv(f"LOOKTWICE_{name}", raising=False)
    WALL.save("wall.png")
    BLACK.save("black.png")


# The title


@pytest.mark.parametrize(
    ("said", "title"),
    [
        ("The image shows a dog. It runs.", "A dog."),
        ("An image of a dog on a bed", "A dog on a bed"),
        ("In this photo, we can see two cats.", "Two cats."),
        ("Auf dem Bild ist ein Hund zu sehen.", "Ein Hund."),
        ("L'image montre un chien.", "Un chien."),
        ("Sur la photo, on voit un chien.", "Un chien."),
        ("En la imagen se ve un perro.", "Un perro."),
        ('**Title:** "Dr. Smith at 5 p.m. in a cafe." More.', "Dr. Smith at 5 p.m. in a cafe."),
        ("- a photo album on a table\n- a lamp", "A photo album on a table"),
        ("An old photograph of a harbour.", "An old photograph of a harbour."),
        ("\u05db\u05dc\u05d1 \u05e8\u05e5. \u05d4\u05d5\u05d0.", "\u05db\u05dc\u05d1 \u05e8\u05e5."),
        ("\u72d7\u5728\u8dd1\u3002\u5f88\u5feb\u3002", "\u72d7\u5728\u8dd1\u3002"),
        ("The image shows.", "The image shows."),
    ],
)
def test_a_title_is_the_first_sentence_without_the_word_picture(said: str, title: str) -> None:
    assert title_of(said) == title


def test_a_phrase_is_cut_after_a_word_that_can_be_the_last() -> None:
    assert shortened("a dog and a cat in the house", 20) == "a dog and a cat\N{HORIZONTAL ELLIPSIS}"
    assert shortened("a dog", 5) == "a dog"
    accents = "e\u0301" * 50
    cut = shortened(accents, 20)
    assert len(cut) <= 20
    assert accents.startswith(cut[:-1])
    assert accents[len(cut) - 1] == "e"
    assert split("Siehe z. B. Nr. 5 hier.\nUnd?") == ["Siehe z. B. Nr. 5 hier.", "Und?"]


def test_nothing_is_kept_without_a_conversation() -> None:
    agent, backend = scripted("A red circle and a blue square.")
    made = describe(WALL, agent=agent)
    assert (made.title, made.text, made.model) == ("A red circle and a blue square.",) * 2 + ("scripted",)
    assert agent.memory.conversations.list() == []
    assert "Describe @picture in one short sentence" in asked(backend)[0]


def test_a_title_that_is_too_long_is_asked_for_once_more_and_then_cut() -> None:
    long = " ".join(["a red circle beside a blue square and"] * 5)
    agent, backend = scripted(long, "Two shapes.")
    assert describe(WALL, agent=agent).title == "Two shapes."
    assert asked(backend)[1] == "Say that once more in at most 80 characters: only what matters most."
    agent, _ = scripted(long, long)
    title = describe(WALL, agent=agent).title
    assert len(title) <= 125
    assert title.endswith("and a red\N{HORIZONTAL ELLIPSIS}")


# Sections


def test_a_long_description_has_its_sections_with_the_text_and_what_is_uncertain() -> None:
    agent, _ = scripted("A receipt.", "A receipt of the Corner Cafe. The total is 8.90.", "At the left the dishes.")
    made = describe(BILL, agent=agent, length="long")
    assert [(section.name, section.heading) for section in made.sections] == [
        ("overview", "Overview"),
        ("layout", "Layout, from left to right"),
        ("text", "Text"),
    ]
    assert made.section("text").splitlines()[-1] == "TOTAL 8.70"
    assert 'The model says "8.90"; "8.70" was read in the picture.' in made.uncertain
    assert json.loads(json.dumps(made.to_json()))["sections"][0]["name"] == "overview"


def test_a_paragraph_has_as_many_whole_sentences_as_a_social_network_takes() -> None:
    sentence = "A red circle lies beside a blue square on a wall. "
    agent, _ = scripted(sentence * 30)
    text = describe(WALL, agent=agent, length="social").text
    assert 900 < len(text) <= 1100
    (paragraph,) = describe(WALL, agent=scripted(sentence * 30)[0], length="social").sections
    assert len(paragraph.text) <= 1000
    assert paragraph.text.endswith("on a wall.")


def test_a_question_comes_before_the_description_which_attends_to_it() -> None:
    agent, backend = scripted("Until Friday.", "A bottle of milk.")
    made = describe(WALL, agent=agent, about="Is the milk still good?")
    assert (made.section("answer"), made.title) == ("Until Friday.", "A bottle of milk.")
    first, second = asked(backend)
    assert first.endswith("Is the milk still good?")
    assert second.endswith("Attend above all to what matters for this question: Is the milk still good?")


@pytest.mark.parametrize(("prompt", "words"), [("Only the colours.", "Only the colours."), ("", "")])
def test_another_prompt_takes_the_place_of_ours_or_none_does(prompt: str, words: str) -> None:
    agent, backend = scripted("Red. Blue.")
    made = describe(WALL, agent=agent, prompt=prompt)
    assert (made.title, made.section("description")) == ("Red.", "Red. Blue.")
    (shown_prompt,) = backend.prompts
    assert _words(shown_prompt).replace("Image picture:", "").strip() == words
    assert any(isinstance(each, Shown) for each in shown_prompt.messages[-1].segments)


def test_prompts_are_edited_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "prompts.toml"
    path.write_text(Prompts.spoken("fr").to_toml(), encoding="utf-8")
    assert Prompts.read(path) == Prompts.spoken("fr")
    path.write_text('title = "Say what {picture} is."\nlayout = ""', encoding="utf-8")
    agent, backend = scripted("A wall.", "Of stone.")
    made = describe(WALL, agent=agent, length="long", prompts=Prompts.read(path), name="house")
    assert asked(backend)[0].endswith("Say what @house is.")
    assert [section.name for section in made.sections] == ["overview", "text"]


@pytest.mark.parametrize(
    ("file", "told"),
    [
        ("titel = 'x'", r"no prompt 'titel' in '.*'; known: title, shorter"),
        ("title = 3", r"the prompt 'title' in '.*' is 3; write a text in quotes"),
        ("title", r"the prompts in '.*' are no TOML"),
        (None, r"can't read the prompts in '.*': No such file"),
    ],
)
def test_a_file_of_prompts_that_cannot_be_used_is_refused_in_one_line(
    file: str | None, told: str, tmp_path: Path
) -> None:
    path = tmp_path / "prompts.toml"
    if file is not None:
        path.write_text(file, encoding="utf-8")
    with pytest.raises(InvalidInput, match=told):
        Prompts.read(path)


def test_each_of_several_pictures_of_a_conversation_is_shown_alone() -> None:
    agent, backend = scripted("Shapes.", "A bill.", "Until May.", "Money.")
    chat = agent.chat("c")
    for picture, name in ((WALL, "wall"), (BILL, "bill")):
        describe(picture, agent=agent, chat=chat, name=name)
    assert [[each.name for each in prompt.pictures] for prompt in backend.prompts] == [["wall"], ["bill"]]
    describe(BILL, agent=agent, chat=chat, about="Until when?")
    assert asked(backend)[2].endswith("Until when? (@bill)")


def test_a_part_is_described_alone_by_its_place() -> None:
    agent, backend = scripted("A circle.")
    made = describe(WALL, agent=agent, part="10 o'clock", name="wall")
    assert (made.picture, made.title) == ("wall.zoom1", "A circle.")
    (prompt,) = backend.prompts
    assert [each.name for each in prompt.pictures] == ["wall.zoom1"]
    with pytest.raises(InvalidInput, match=r"the place 'there' is not known; write it as 'top right'"):
        describe(WALL, agent=agent, part="there")


# Before any model


def test_a_black_picture_is_said_to_be_black_and_no_model_is_asked() -> None:
    agent, backend = scripted("A cat.")
    made = describe(BLACK, agent=agent, length="long", lang="de")
    assert (made.title, made.sections, [fault.said for fault in made.faults]) == ("", (), ["das Bild ist schwarz"])
    assert backend.prompts == []
    (line, _) = [told for told in _told(agent, BLACK) if isinstance(told, Line)]
    assert line == Line(
        "advice", "The picture is black; see that nothing covers the lens, and take it again with light."
    )
    anyway = [told for told in _told(agent, BLACK, anyway=True) if isinstance(told, Line)]
    assert [each.kind for each in anyway] == ["advice", "title"]


def _told(agent: Agent, *pictures: Image.Image, **given: Any) -> Iterator[Any]:
    yield from Describer(agent, **given).tell([Given(picture) for picture in pictures])


def test_a_question_is_asked_all_the_same_after_the_fault_was_told() -> None:
    ran = run('looktwice ask -i black.png "What colour is the circle?"')
    assert "status: black: the picture is black; see that nothing covers the lens" in ran.stderr
    assert ran.stderr.index("the picture is black") < ran.stderr.index("pocket answers")
    assert ran.stdout.strip()


def test_what_is_no_picture_is_refused_before_anything_is_described() -> None:
    Path("letter.txt").write_text("Dear Sir", encoding="utf-8")
    ran = run("looktwice describe wall.png letter.txt")
    assert (ran.status, ran.stdout) == (1, "")
    assert ran.stderr.startswith("error: 'letter.txt' holds text, not a picture")
    assert run("looktwice describe").status == 2


# In a terminal


def test_several_pictures_are_numbered_in_the_language_that_was_asked_for() -> None:
    ran = run("looktwice describe wall.png black.png --lang de")
    assert ran.status == 1
    assert ran.stdout.splitlines() == [
        "Bild 1 von 2: wall",
        "A red circle at top left, a blue square at bottom right",
        "",
        "Bild 2 von 2: black",
        "Das Bild ist schwarz; achten Sie darauf, dass nichts die Linse verdeckt, und nehmen Sie es bei Licht noch"
        " einmal auf.",
        "Darum wurde es nicht beschrieben; mit --anyway wird es trotzdem beschrieben.",
    ]


def test_sections_have_their_headings_in_french() -> None:
    BILL.save("bill.png")
    ran = run("looktwice describe --long bill.png --lang fr")
    headings = [line for line in ran.stdout.splitlines() if line.endswith(":")]
    assert headings == ["Vue d'ensemble:", "Texte:", "Incertain:"]
    assert "Le modèle n'est pas sûr : " in ran.stdout


def test_a_description_joins_a_conversation_and_questions_follow() -> None:
    assert run("looktwice describe wall.png --chat house").status == 0
    assert run("looktwice describe wall.png --chat house").status == 0
    ran = run('looktwice ask --chat house "What colour is the circle in @wall?"')
    assert ran.stdout == "red\n"
    images = run("looktwice images --chat house").stdout.splitlines()
    assert len(images) == 2  # the head, and one picture, kept once
    assert images[1].endswith("A red circle at top left, a blue square at bottom right")


def test_whoever_listens_gets_the_words_of_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    heard: list[str] = []
    agent, _ = scripted("Until Friday, I think.", "A bottle.")
    telling = Describer(agent, about="Still good?").tell([Given(WALL)])
    (made,) = shown(telling, Lines(), hear=heard.append)
    assert "".join(heard) == capsys.readouterr().out == "Answer:\nUntil Friday, I think.\nA bottle.\n"
    assert heard[-7:-3] == ["Until ", "Friday, ", "I ", "think."]  # as they come
    assert made.title == "A bottle."


def test_what_may_change_is_told_when_it_stands() -> None:
    agent, _ = scripted("Until Friday.", "A bottle.")
    agent.tools = []
    assert any(isinstance(told, Word) for told in _told(agent, WALL, about="Still good?"))
    with Agent(ScriptedBackend(["Until Friday.", "A bottle."]), memory=":memory:", tools=["zoom"]) as looking:
        told = list(_told(looking, WALL, about="Still good?", settings={"look_again": False}))
    assert [each for each in told if isinstance(each, Line | Word)] == [
        Line("heading", "Answer"),
        Line("text", "Until Friday."),
        Line("title", "A bottle."),
    ]


def test_what_is_stopped_leaves_nothing_behind() -> None:
    agent, _ = scripted("A wall.", "Another.")
    cancel = threading.Event()
    cancel.set()
    describer = Describer(agent, cancel=cancel)
    list(describer.tell([Given(WALL), Given(BILL)]))
    assert describer.finish == "cancelled"
    assert agent.memory.conversations.list() == []


# Private


def test_where_a_picture_was_taken_stands_in_no_output() -> None:
    exif = Image.Exif()
    exif[0x010F] = "SecretCamera"
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 51.0, 30.0), 3: "E", 4: (2.0, 17.0, 40.0), 29: "2026:01:02"})
    WALL.save("there.jpg", exif=exif, quality=95)
    assert b"SecretCamera" in Path("there.jpg").read_bytes()
    with Image.open("there.jpg") as there:
        assert there.getexif().get_ifd(0x8825)[1] == "N"
    described = run("looktwice describe there.jpg --long --json --chat trip")
    answered = run('looktwice ask --chat trip "What colour is the circle?" --json')
    assert run("looktwice page --chat trip -o trip.html").status == 0
    page = Path("trip.html").read_text(encoding="utf-8")
    for text in (described.output, answered.output, run("looktwice log --chat trip --json").output, page):
        assert not re.search("secretcamera|gps|latitude|2026:01:02", text, re.IGNORECASE)
    pictures = re.findall(r'src="data:image/\w+;base64,([^"]+)"', page)
    assert len(pictures) == 1
    with Image.open(io.BytesIO(base64.b64decode(pictures[0]))) as embedded:
        assert not embedded.getexif()
        assert "exif" not in embedded.info
