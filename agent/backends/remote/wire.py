"""A prompt as OpenAI's messages, with everything where it stands.

A message's bytes depend on it and on those before it alone, so a longer conversation only appends: that is what makes
a server's own prefix cache hit.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ...prompt import GO_ON, SEE_BELOW, Announced, Introduced, Message, Prompt, Segment, Shown, Tag, Words, Written
from ..backend import Pixels
from .facts import Dialect
from .uploads import Upload, Uploads

__all__ = ["Wire"]

Json: TypeAlias = dict[str, Any]

_CONTROL = re.compile(
    r"<\|[\w ]{1,40}\|>|</?(?:s|image|video|pad|unk|bos|eos|image_pad|image_soft_token|start_of_turn|end_of_turn"
    r"|start_of_image|tool_call|tool_response|think)>|\[/?(?:INST|IMG|TOOL_CALLS|TOOL_RESULTS|AVAILABLE_TOOLS)\]"
    r"|<</?SYS>>"
)


@dataclass(slots=True)
class Wire:
    """Writes one prompt. ``fields``: tools go by fields of their own; else they stand in words.

    ``spare``: a picture that the server has is named by its id alone. What was sent is told by ``uploaded`` (ids of
    pictures that went along) and ``spared`` (ids without their pictures).
    """

    dialect: Dialect
    fields: bool
    uploads: Uploads
    pixels: Pixels
    spare: bool = True
    uploaded: set[str] = field(default_factory=set[str])
    spared: set[str] = field(default_factory=set[str])
    _calls: int = 0
    _called: str = ""
    _several: bool = False

    def messages(self, prompt: Prompt) -> list[Json]:
        """The whole prompt. An answer that broke off is followed by the request to go on with it."""
        self._several = len(prompt.pictures) > 1
        out: list[Json] = []
        late: list[Segment] = []
        for place, message in enumerate(prompt.messages):
            if (
                message.role == "system" and place and self.dialect != "looktwice"
            ):  # many templates take one, at the head
                late += [*message.segments, Words("\n\n")]
                continue
            segments = (*self._kept(late), *message.segments) if message.role == "user" else message.segments
            late = [] if message.role == "user" else late
            out += self._message(Message(message.role, segments))
        return [*out, *([_said("user", GO_ON)] if prompt.open_answer else [])]

    def _kept(self, late: Sequence[Segment]) -> Sequence[Segment]:
        told = [s for s in late if not (self.fields and isinstance(s, Announced))]
        return told if any(isinstance(s, Words) and s.text.strip() for s in told) else []

    def _message(self, message: Message) -> Iterator[Json]:
        if message.role == "assistant":
            yield self._answer(message)
        elif self.fields and self._called and message.segments[:1] == (Tag("<tool_response>"),):
            yield from self._result(message.segments)
        else:
            content = self._content(message.segments)
            if message.role == "system" and isinstance(content, str):
                content = content.strip("\n")
            if content:
                yield {"role": message.role, "content": content}

    def _answer(self, message: Message) -> Json:
        written = [part for segment in message.segments if isinstance(segment, Written) for part in segment.text]
        place = next((i for i, part in enumerate(written) if isinstance(part, Tag)), None)
        if not self.fields or place is None:
            self._called = ""
            return _said("assistant", self._text(written))
        call = json.loads("".join(part.text for part in written[place:] if isinstance(part, Words)))
        self._calls += 1
        self._called = f"call{self._calls:05d}"  # nine letters and digits: some servers want just these
        function = {"name": call["name"], "arguments": _compact(call["arguments"])}
        plain = {"id": self._called, "type": "function", "function": function}
        return {"role": "assistant", "content": self._text(written[:place]), "tool_calls": [plain]}

    def _result(self, segments: Sequence[Segment]) -> Iterator[Json]:
        """A call's result. Pictures follow in a message of the user's: elsewhere than with us a tool's is text."""
        inner = [segment for segment in segments if not isinstance(segment, Tag)]
        inner = inner[1:] if inner[:1] == [Words("\n")] else inner
        call, self._called = self._called, ""
        first = next((i for i, s in enumerate(inner) if isinstance(s, Shown | Introduced)), len(inner))
        words, pictures = (inner, []) if self.dialect == "looktwice" else (inner[:first], inner[first:])
        content = self._content(words) or (SEE_BELOW if pictures else "")
        content = content.strip("\n") if isinstance(content, str) else content
        yield {"role": "tool", "tool_call_id": call, "content": content}
        if pictures:
            yield {"role": "user", "content": self._content(pictures)}

    def _content(self, segments: Sequence[Segment]) -> str | list[Json]:
        """Words alone are a text, else blocks in order; line breaks around a picture are the server's to make."""
        blocks: list[Json] = []
        words: list[Segment] = []
        for segment in (*segments, None):
            if isinstance(segment, Shown | None):
                text = self._text(words)
                text = text.removeprefix("\n") if blocks else text
                text = text.removesuffix("\n") if segment else text
                blocks += [{"type": "text", "text": text}] if text.strip() else []
                blocks += [self._picture(segment)] if segment else []
                words = []
            else:
                words.append(segment)
        is_text = all(block["type"] == "text" for block in blocks)
        return "".join(block["text"] for block in blocks) if is_text else blocks

    def _text(self, segments: Sequence[Segment]) -> str:
        return "".join(map(self._word, segments))

    def _word(self, segment: Segment) -> str:
        match segment:
            case Announced(text):
                return "" if self.fields else text
            case Introduced(text):
                return "" if self.dialect == "looktwice" else text
            case Words(text):
                return text if self.dialect == "looktwice" else _CONTROL.sub(_parted, text)
            case Tag(text):
                return text
            case _:
                return ""

    def _picture(self, shown: Shown) -> Json:
        upload = self.uploads.of(shown, self.pixels)
        block: Json = {"type": "image_url", "image_url": {"url": upload.url}}
        match self.dialect:
            case "looktwice":
                block["name"] = shown.name
            case "vllm":
                block |= {"uuid": upload.uuid, **({"image_url": None} if self._is_there(upload) else {})}
            case "sglang" if self._several:
                block["modalities"] = "multi-images"
            case _:
                pass
        return block

    def _is_there(self, upload: Upload) -> bool:
        there = self.spare and self.uploads.has(upload.uuid)
        (self.spared if there else self.uploaded).add(upload.uuid)
        return there


def _parted(found: re.Match[str]) -> str:
    """Data that spells a control token, with a blank in it: the server would read it as one."""
    return f"{found.group()[:-1]} {found.group()[-1]}"


def _said(role: str, text: str) -> Json:
    return {"role": role, "content": text}


def _compact(plain: object) -> str:
    return json.dumps(plain, separators=(",", ":"), ensure_ascii=False)
