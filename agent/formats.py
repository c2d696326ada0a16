"""Families of chat formats: a prompt's messages become one row of literals, data, pictures and answers.

The checkpoints' own templates put all pictures of a message before all of its text, so each family is
written out here. For one picture before its question, and for questions and answers after that, the row
is the checkpoint's own template; ``Format.learned`` takes the literals from it where it differs from its family.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, cast

from ..errors import ModelError, UnknownName
from .prompt import Message, Prompt, Segment, Shown, Tag, Words, Written


@dataclass(frozen=True, slots=True)
class Literal:
    """Text of the format itself: the only kind that may hold control tokens."""

    text: str


Piece: TypeAlias = Literal | Words | Shown | Written


@dataclass(frozen=True, slots=True)
class Format:
    """How one family writes a conversation down.

    ``handover`` closes the user's message and opens the answer; ``answer_lead`` stands before an answer
    that is encoded from text (its own ids hold it already); ``image_gap`` stands between a picture
    without a name and the text after it, ``text_gap`` before a user's message that opens with words. Where
    ``system_open`` is None the family has no system message: its words open the next user message.
    ``markers`` finds plain words that the family reads as structure.
    """

    family: str
    user_open: str
    user_close: str
    handover: str
    answer_open: str
    answer_lead: str
    answer_close: str
    system_open: str | None
    system_close: str
    image_gap: str = "\n"
    text_gap: str = ""
    markers: str = ""

    def row(self, prompt: Prompt) -> Iterator[Piece]:
        """The prompt as one row of pieces, up to where the model goes on writing."""
        messages = list(_merged(prompt.messages)) if self.system_open is None else list(prompt.messages)
        for place, message in enumerate(messages):
            following = messages[place + 1].role if place + 1 < len(messages) else "assistant"
            last = place + 1 == len(messages)
            match message.role:
                case "system":
                    yield from self._system(message, last=last)
                case "user":
                    yield from self._user(message, following=following)
                case "assistant":
                    yield from self._answer(message, is_open=last and prompt.open_answer, last=last)

    def neutral(self, text: str) -> str:
        """Data without the family's structural words: ``[INST]`` becomes ``[INST ]``."""
        text = _TAGS.sub(_parted, text)
        return re.sub(self.markers, _parted, text) if self.markers else text

    def has_marker(self, text: str) -> bool:
        """Whether plain words of the text would be read as the family's structure."""
        return bool(self.markers and re.search(self.markers, text))

    def spelled(self, answer: Written) -> Iterator[Literal | Words]:
        """An answer from its text, for a tokenizer that its ids don't come from."""
        yield Literal(self.answer_lead)
        yield from cast("Iterator[Literal | Words]", self._segments(answer.text))

    def learned(self, render: Callable[[list[dict[str, Any]]], str], *, bos: str | None) -> Format:
        """This format with the literals of a checkpoint's own template, where they can be read off.

        ``render`` applies the template to messages with the generation prompt. What it can't render, a
        picture before a question or an answer before the next one, stays as the family has it, and so does
        an end of answers that lacks the family's end token: models are trained with it all the same.
        """
        try:
            one = render([_asked("Q0")])
        except Exception as error:  # a template is a checkpoint's program: whatever it raises, we have our own
            _log_template(error)
            return self
        head, picture, rest = one.partition("<image>")
        gap, question, tail = rest.partition("Q0")
        if not (picture and question):
            return self
        learned = replace(self, user_open=head.removeprefix(bos or ""), image_gap=gap, handover=tail)
        answer = tail.find(self.answer_open.strip())
        if answer > 0:
            learned = replace(learned, user_close=tail[:answer], answer_open=tail[answer:])
        return learned._with_answers(render)

    def _with_answers(self, render: Callable[[list[dict[str, Any]]], str]) -> Format:
        """This format with what the template puts around an answer, and before a question without a picture."""
        try:
            three = render([_asked("Q0"), _text("assistant", "A0"), _text("user", "Q1")])
        except Exception as error:
            _log_template(error)
            return self
        found = re.search(r"Q0(.*)A0(.*)Q1", three, re.DOTALL)
        before, after = found.groups() if found else ("", "")
        close, opened, gap = after.rpartition(self.user_open)
        if not (opened and before.startswith(self.handover)):
            return self
        learned = replace(self, answer_lead=before.removeprefix(self.handover), text_gap=gap)
        return replace(learned, answer_close=close) if close.strip() == self.answer_close.strip() else learned

    def _system(self, message: Message, *, last: bool) -> Iterator[Piece]:
        yield Literal(self.system_open or "")
        yield from self._segments(message.segments)
        yield Literal(self.system_close + (self.answer_open if last else ""))

    def _user(self, message: Message, *, following: str) -> Iterator[Piece]:
        begins_with_picture = bool(message.segments) and isinstance(message.segments[0], Shown)
        yield Literal(self.user_open + ("" if begins_with_picture else self.text_gap))
        yield from self._segments(message.segments)
        yield Literal(self.handover if following == "assistant" else self.user_close)

    def _answer(self, message: Message, *, is_open: bool, last: bool) -> Iterator[Piece]:
        yield from (s for s in message.segments if isinstance(s, Written))
        if not is_open:
            yield Literal(self.answer_close + (self.answer_open if last else ""))

    def _segments(self, segments: Sequence[Segment]) -> Iterator[Piece]:
        """Segments as pieces; neighbouring words are joined first, so that no marker hides in a seam."""
        words = ""
        after_nameless = False
        for place, segment in enumerate(segments):
            if isinstance(segment, Words):
                gap = after_nameless and segment.text == "\n"
                words += self.image_gap if gap else segment.text
                after_nameless = False
                continue
            if words:
                yield Words(self.neutral(words))
                words = ""
            yield Literal(segment.text) if isinstance(segment, Tag) else segment
            named = place > 0 and isinstance(segments[place - 1], Words)
            after_nameless = isinstance(segment, Shown) and not named
        if words:
            yield Words(self.neutral(words))


_TAGS = re.compile(r"</?tool_(?:call|response)>")


def _parted(found: re.Match[str]) -> str:
    return f"{found.group()[:-1]} {found.group()[-1]}"


def _log_template(error: Exception) -> None:
    import logging

    logging.getLogger(__name__).debug("the checkpoint's template can't be used: %s", error)


def _asked(question: str) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": question}]}


def _text(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "content": [{"type": "text", "text": text}]}


def _merged(messages: Sequence[Message]) -> Iterator[Message]:
    """Messages without system ones: their words open the user message that follows."""
    held: tuple[Segment, ...] = ()
    for message in messages:
        if message.role == "system":
            held += (*message.segments, Words("\n\n"))
        else:
            yield replace(message, segments=held + message.segments)
            held = ()
    if held:
        yield Message("user", held)


def _chatml() -> Format:
    return Format(
        family="chatml",
        user_open="<|im_start|>user\n",
        user_close="<|im_end|>\n",
        handover="<|im_end|>\n<|im_start|>assistant\n",
        answer_open="<|im_start|>assistant\n",
        answer_lead="",
        answer_close="<|im_end|>\n",
        system_open="<|im_start|>system\n",
        system_close="<|im_end|>\n",
    )


def _llama3() -> Format:
    def head(role: str) -> str:
        return f"<|start_header_id|>{role}<|end_header_id|>\n\n"

    return Format(
        family="llama3",
        user_open=head("user"),
        user_close="<|eot_id|>",
        handover="<|eot_id|>" + head("assistant"),
        answer_open=head("assistant"),
        answer_lead="",
        answer_close="<|eot_id|>",
        system_open=head("system"),
        system_close="<|eot_id|>",
    )


def _mistral() -> Format:
    return Format(
        family="mistral",
        user_open="[INST] ",
        user_close=" [/INST]",
        handover=" [/INST]",
        answer_open="",
        answer_lead=" ",
        answer_close="</s>",
        system_open=None,
        system_close="",
        markers=r"\[/?INST\]",
    )


def _vicuna() -> Format:
    return Format(
        family="vicuna",
        user_open="USER: ",
        user_close=" ",
        handover=" ASSISTANT:",
        answer_open="ASSISTANT:",
        answer_lead=" ",
        answer_close="</s>",
        system_open="",
        system_close=" ",
        markers=r"(?:USER|ASSISTANT):",
    )


FAMILIES: Mapping[str, Format] = {f.family: f for f in (_chatml(), _llama3(), _mistral(), _vicuna())}


def family(name: str) -> Format:
    """The format of a family by its name. Raises UnknownName."""
    if name not in FAMILIES:
        raise UnknownName("chat format", name, FAMILIES)
    return FAMILIES[name]


def recognise(*, added_tokens: Mapping[str, int], template: str | None, text_model: str) -> Format:
    """The family of a checkpoint, from its control tokens, else its template, else its language model.

    Raises ModelError for a checkpoint that fits none.
    """
    template = template or ""
    if "<|start_header_id|>" in added_tokens:
        return FAMILIES["llama3"]
    if "<|im_start|>" in added_tokens:
        return FAMILIES["chatml"]
    if "[INST]" in template or (not template and text_model == "mistral"):
        return FAMILIES["mistral"]
    if "ASSISTANT:" in template or (not template and text_model == "llama"):
        return FAMILIES["vicuna"]
    known = ", ".join(sorted(FAMILIES))
    raise ModelError(f"the chat format of this {text_model!r} checkpoint is unknown; pass chat_format= one of: {known}")
