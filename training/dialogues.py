"""Dialogues about pictures from the shelf, in the exact words that the package's own prompts are made of."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from looktwice.world import Question, Scene, Sign, Thing, ask, ask_which
from looktwice.world.questions import UNREADABLE, Ref, matching, refs

from .names import names
from .phrases import (
    announce,
    copy,
    nearest_box,
    put_answer,
    put_box,
    put_box_argument,
    put_call,
    put_ocr_result,
    put_question,
    put_thing,
    some_text,
    spell,
)
from .rows import END, START, Look, Row, Seen, Span, Writer
from .shelf import Item, Shard, sign_box

__all__ = ["Dialogues"]

_TOOLS = ("zoom, ocr", "zoom, ocr", "zoom", "ocr", "ocr")


class Dialogues:
    """Draws rows. ``stage`` holds shares: ``rows`` of each kind of row, ``questions`` of each kind of question."""

    def __init__(self, shards: Sequence[Shard], tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        pictures = [(shard, item) for shard in shards for item in shard.items if not item.is_zoom and item.scene.things]
        self._any = pictures
        self._shapes = [one for one in pictures if len(one[1].scene.shapes) > 1 and not one[1].scene.signs]
        self._plain = [one for one in pictures if one[1].scene.signs and not one[1].scene.signs[0].small]
        self._small = [one for one in pictures if one[1].scene.signs and one[1].scene.signs[0].small and one[1].zooms]

    def row(self, rng: random.Random, stage: Mapping[str, Any], kind: str, longest: int) -> Row:
        """A row of some kind: "one" to "four" pictures, "tools" or "copy", of at most ``longest`` tokens."""
        if kind == "copy":
            return self._copying(rng)
        if kind == "tools":
            pictures = [self._one(rng, (0.7, 0.18, 0.12)) for _ in range(rng.choice((1, 1, 2)))]
            longest += 200 * (len(pictures) - 1)
            return _Dialogue(rng, self._tokenizer, stage, pictures, longest, rng.choice(_TOOLS)).row()
        count = {"one": 1, "two": 2, "three": 3, "four": 4}[kind]
        offered = rng.choice(_TOOLS) if rng.random() < 0.2 else ""
        return _Dialogue(rng, self._tokenizer, stage, self._set(rng, count, bool(offered)), longest, offered).row()

    def _one(self, rng: random.Random, shares: tuple[float, float, float]) -> tuple[Shard, Item]:
        """A picture with a small sign, a plain one, or shapes."""
        return rng.choice(rng.choices((self._small, self._plain, self._any), shares)[0])

    def _set(self, rng: random.Random, count: int, has_tools: bool) -> list[tuple[Shard, Item]]:
        """Pictures that have much in common, so that only the name tells which of them a question means."""
        small = 0.0 if has_tools else 0.12
        if count == 1:
            return [self._one(rng, (small, 0.4, 0.48))]
        if rng.random() < 0.4:
            return [self._one(rng, (small, 0.88, 0.0)) for _ in range(count)]
        first = rng.choice(self._shapes)
        known = refs(first[1].scene)

        def shared(one: tuple[Shard, Item]) -> float:
            return len(known & refs(one[1].scene)) + rng.random()

        return [first, *(max(rng.choices(self._shapes, k=6), key=shared) for _ in range(count - 1))]

    def _copying(self, rng: random.Random) -> Row:
        """Calls and their results without any picture: names and texts to be copied."""
        writer = Writer(self._tokenizer)
        offered = announce(writer, "ocr" if rng.random() < 0.5 else "zoom, ocr")
        for name in names(rng, rng.randint(3, 5)):
            writer.control(START)
            writer.words("user\n")
            asked = put_question(
                writer, rng.choice(("Read the sign in @{} with ocr.", "Use ocr on @{}.", "Read @{} with ocr.")), name
            )
            writer.control(END)
            put_call(writer, offered["ocr"], asked, None)
            put_ocr_result(rng, writer, name, some_text(rng))
        return writer.finish()


class _Dialogue:
    """One row about some pictures, as it is written."""

    def __init__(
        self,
        rng: random.Random,
        tokenizer: Any,
        stage: Mapping[str, Any],
        pictures: Sequence[tuple[Shard, Item]],
        longest: int,
        tools: str,
    ) -> None:
        self._rng = rng
        self._stage = stage
        self._longest = longest
        self._tools = tools
        self._writer = Writer(tokenizer)
        self._waiting = list(zip(names(rng, len(pictures)), pictures, strict=True))
        self._seen: dict[str, Seen] = {}
        self._offered: dict[str, Span] = {}
        self._known: dict[str, list[Span]] = {}
        self._zooms: dict[str, int] = {}
        self._done: set[tuple[str, str, str]] = set()
        self._last: tuple[Question, str] | None = None

    def row(self) -> Row:
        """Ask until the row is full or nothing new comes to mind."""
        if self._tools:
            self._offered = announce(self._writer, self._tools)
        late = len(self._waiting) > 1 and self._rng.random() < 0.25
        arriving = self._rng.randint(1, len(self._waiting) - 1) if late else len(self._waiting)
        failures = 0
        while failures < 8 and len(self._writer) < self._longest - 90:
            if self._waiting and not arriving and self._rng.random() < 0.4:
                arriving = 1 if len(self._waiting) > 1 else len(self._waiting)
            if self._turn(arriving):
                arriving = 0
            else:
                failures += 1
        return self._writer.finish()

    def _turn(self, arriving: int) -> bool:
        """One question with its answer; False if none was found and nothing written."""
        scenes = {name: seen.item.scene for name, seen in self._seen.items()}
        scenes |= {name: item.scene for name, (_, item) in self._waiting[:arriving]}
        kind = _drawn(self._rng, self._stage["questions"])
        if self._tools and self._rng.random() < 0.6:
            kind = "read"
        if kind == "which":
            which = ask_which(self._rng, list(scenes.values())) if len(scenes) > 1 else None
            answer = which and which.answer(scenes)
            if which is None or answer is None:
                return False
            name = answer[1:]
            self._open(arriving)
            self._writer.words(which.text())
            seen = self._seen[name]
            found = [t for t in seen.item.scene.things if _is_meant(which.ref, which.says, t)]
            look = seen.showing_letter(found[0], 0) if which.says else seen.showing(*found)
            self._say("which", lambda: self._copied_name(seen, look))
            return True
        name = self._rng.choice(list(scenes))
        if self._last and len(scenes) > 1 and self._rng.random() < 0.12:
            question = self._last[0]
            name = self._rng.choice([other for other in scenes if other != self._last[1]])
            wording = self._rng.choice(("And in @{}?", "What about @{}?", "And @{}?"))
        else:
            is_contrast = self._rng.random() < 0.85
            question = self._question(kind, list(scenes.values()) if is_contrast else [scenes[name]])
            wording = question and self._wording(question, name, is_only=len(scenes) == 1)
        answer = question and question.answer(scenes[name])
        if question is None or wording is None or answer is None:
            return False
        if (str(question), wording, name) in self._done or self._too_long(question, answer):
            return False
        self._done.add((str(question), wording, name))
        if question.kind == "read":
            return self._read(question, wording, name, arriving)
        self._open(arriving)
        put_question(self._writer, wording, name)
        seen = self._seen[name]
        label = "box" if _is_box(question) else question.kind
        self._say(("one:" if len(scenes) == 1 else "many:") + label, lambda: self._answered(question, seen, answer))
        self._last = (question, name) if question.kind in ("colour", "shape", "where", "count") else None
        return True

    def _question(self, kind: str, scenes: Sequence[Scene]) -> Question | None:
        if kind != "box":
            return ask(self._rng, kind, scenes)
        question = ask(self._rng, "where", scenes)
        return question and Question("where", f"Box of the {question.ref}{{in}}?", question.ref)

    def _wording(self, question: Question, name: str, *, is_only: bool) -> str:
        """With "@{}" for the name, or without a name where only one picture can be meant."""
        if is_only and self._rng.random() < 0.4:
            return question.text(None)
        return question.text("{}")

    def _too_long(self, question: Question, answer: str) -> bool:
        return question.kind == "describe" and len(self._writer) > 0.6 * self._longest and len(answer) > 0

    def _open(self, arriving: int) -> None:
        """The head of a question: the pictures that come with it."""
        self._writer.control(START)
        self._writer.words("user\n")
        for name, (shard, item) in self._waiting[:arriving]:
            self._show(name, shard, item)
        del self._waiting[:arriving]

    def _show(self, name: str, shard: Shard, item: Item) -> Seen:
        self._writer.words("Image ")
        span = self._writer.words(name)
        self._writer.words(":\n")
        self._seen[name] = self._writer.picture(shard, item, span)
        self._writer.words("\n")
        return self._seen[name]

    def _say(self, kind: str, write: Callable[[], object]) -> None:
        self._writer.control(END)
        put_answer(self._writer, kind, write)

    def _answered(self, question: Question, seen: Seen, answer: str) -> None:
        subjects, scene = question.subjects(seen.item.scene), seen.item.scene
        if question.kind == "describe":
            for number, thing in enumerate(scene.things):
                self._writer.words(", " if number else "", seen.showing(thing))
                put_thing(self._writer, scene, thing, seen)
        elif _is_box(question):
            put_box(self._writer, nearest_box(scene, subjects[0]), seen.overview(subjects[0]))
        elif question.kind in ("relation", "side"):
            first, second = (seen.overview(*matching(scene, ref)) for ref in (question.ref, question.other))
            self._writer.words(answer, first, compared=second)
        else:
            found = seen.showing(*subjects) if subjects and question.kind != "count" else None
            is_number = question.kind in ("count", "exists")
            counted = np.append(0, seen.middles(subjects)) if is_number else None
            self._writer.words(answer, found, counted=counted)

    def _copied_name(self, seen: Seen, look: Look) -> None:
        self._writer.words("@", look)
        # Which of the names it is, is seen at the thing; the other heads find it again while the name is copied.
        self._writer.words(seen.name.text, seen.name, compared=look)

    def _read(self, question: Question, wording: str, name: str, arriving: int) -> bool:
        """A sign, read at sight, with a tool, or not at all."""
        rng, writer = self._rng, self._writer
        shown = dict(self._waiting[:arriving])
        item = shown[name][1] if name in shown else self._seen[name].item
        sign = item.scene.signs[0]
        forced = ""
        if self._tools and name not in self._known and rng.random() < 0.25:
            forced = rng.choice(self._tools.split(", "))
            if forced == "zoom" and not item.zooms:
                return False
            wording = rng.choice(_FORCED[forced])
        self._open(arriving)
        asked = put_question(writer, wording, name)
        seen = self._seen[name]
        if name in self._known and not forced:
            self._say("tools:again", lambda: copy(writer, self._known[name]))
        elif not forced and (not sign.small or not self._tools):
            said = question.answer(item.scene) or UNREADABLE
            kind = "unreadable" if sign.small else ("one:read" if len(self._seen) == 1 else "many:read")
            self._say(kind, lambda: spell(writer, said, seen, sign))
        elif (forced or ("zoom" if "zoom" in self._tools else "ocr")) == "ocr":
            writer.control(END)
            put_call(writer, self._offered["ocr"], asked if asked.text else seen.name, seen.showing(sign))
            text = sign.text if rng.random() < 0.9 else some_text(rng)
            is_empty = sign.small and rng.random() < 0.06
            self._known[name] = put_ocr_result(rng, writer, name, "" if is_empty else text)
        else:
            writer.control(END)
            self._zoom(item, seen, sign, asked if asked.text else seen.name)
        return True

    def _zoom(self, item: Item, seen: Seen, sign: Sign, asked: Span) -> None:
        writer, name = self._writer, seen.name.text
        box, on_sign = sign_box(item.scene, sign), seen.overview(sign)
        put_call(
            writer, self._offered["zoom"], asked, seen.showing(sign), lambda: put_box_argument(writer, box, on_sign)
        )
        self._zooms[name] = self._zooms.get(name, 0) + 1
        zoomed = f"{name}.zoom{self._zooms[name]}"
        _, place = self._rng.choice(item.zooms)
        part = seen.shard.items[place]
        writer.control(START)
        writer.words("user\n")
        writer.control("<tool_response>")
        writer.words("\n")
        crop = self._show(zoomed, seen.shard, part)
        del self._seen[zoomed]  # asked about under its own name by nobody here
        writer.control("</tool_response>")
        read: list[Span] = []
        self._known[name] = read
        self._say("tools:zoomed", lambda: read.extend(spell(writer, sign.text, crop, part.scene.signs[0])))


_FORCED = {
    "zoom": (
        "Zoom into the sign in @{}.",
        "Zoom in on the sign in @{} and read it.",
        "Read the sign in @{} with zoom.",
    ),
    "ocr": ("Use ocr on @{}.", "Read the sign in @{} with ocr.", "Read @{} with ocr."),
}


def _is_box(question: Question) -> bool:
    return question.wording.startswith("Box of")


def _drawn(rng: random.Random, shares: Mapping[str, float]) -> str:
    return rng.choices(list(shares), list(shares.values()))[0]


def _is_meant(ref: Ref | None, says: str | None, thing: Thing) -> bool:
    if isinstance(thing, Sign):
        return ref is None and thing.text == says
    return ref is not None and ref.colour in (None, thing.colour) and ref.kind in (None, thing.kind)
