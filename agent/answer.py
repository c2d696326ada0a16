"""What a question brings back: the words, what was looked at, what it cost. Pure values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Literal, TypeAlias, cast

Finish: TypeAlias = Literal["stop", "length", "cancelled", "timeout", "paused"]
Tier: TypeAlias = Literal["full", "thumbnail", "text", "name"]
"""How much of a picture the model sees: all of it, its small view, what is known of it in words, its name."""
Verdict: TypeAlias = Literal["agree", "conflict", "unreadable", "unchecked"]


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens. ``prompt`` = ``reused`` + ``new``; ``image`` of them stand for pictures; ``output`` were written."""

    prompt: int = 0
    reused: int = 0
    new: int = 0
    image: int = 0
    output: int = 0

    def __add__(self, other: Usage) -> Usage:
        """The cost of two steps: each step's prompt was computed or reused on its own."""
        return Usage(
            self.prompt + other.prompt,
            self.reused + other.reused,
            self.new + other.new,
            self.image + other.image,
            self.output + other.output,
        )


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds from the question to the first word, and to the end."""

    first_token: float | None = None
    total: float = 0.0


@dataclass(frozen=True, slots=True)
class Look:
    """One step of follow-up reasoning: the call, and what it brought (``images`` are names)."""

    tool: str
    arguments: Mapping[str, Any]
    text: str
    images: tuple[str, ...] = ()
    error: bool = False
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Evidence:
    """A claim of the answer held against the picture. ``box`` is in pixels of the original picture.

    ``kind`` is the sort of claim ("money", "quote" ...), ``span`` its place in the answer's text, ``logprob`` the mean
    natural logarithm of its tokens' probabilities. ``note`` says what had to be overlooked for an agreement, or why
    there is none. ``read`` is what the text reader found, ``looked`` what the model itself gave for the place when it
    saw it closely, nothing if it did not.
    """

    image: str
    box: tuple[int, int, int, int] | None
    claim: str
    read: str
    verdict: Verdict
    kind: str = ""
    span: tuple[int, int] | None = None
    logprob: float | None = None
    note: str = ""
    looked: str = ""


@dataclass(frozen=True, slots=True)
class Signals:
    """What is known of how far an answer is to be trusted.

    ``mean`` and ``lowest`` are natural logarithms of token probabilities, ``entropy`` is the largest one in nats;
    ``declined``: the answer says itself that something can't be read or seen. ``lowered``: a picture that the question
    is about is shown with less than its detail. The others are only taken where they are weighed, None elsewhere:
    ``visible`` is how likely the model says that the question can be answered from what it sees (0..1), ``small`` the
    side of what one token of the picture stands for, in heights of the text that the question is about: above 1 the
    text is smaller than that.
    """

    mean: float
    lowest: float
    entropy: float
    declined: bool
    lowered: bool = False
    visible: float | None = None
    small: float | None = None


@dataclass(frozen=True, slots=True)
class SeenImage:
    """A picture as the model saw it. ``sha256`` is that of the bytes it stems from; sizes in pixels."""

    name: str
    sha256: str
    width: int
    height: int
    tokens: int
    tier: str


@dataclass(frozen=True, slots=True)
class Budgeted:
    """How a picture stood in the prompt, at the place where turn ``turn`` shows it.

    ``tier`` is "full", "thumbnail" (the small view alone), "text" (what is known of it in words) or "name"; ``tokens``
    is what that took, and ``why`` the reason, if it isn't shown in full.
    """

    name: str
    turn: int
    tier: Tier
    tokens: int
    why: str = ""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What is too old to fit: ``questions`` before turn ``since`` with their answers, and their ``summary``, if any."""

    since: int
    questions: int
    summary: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """The model's answer, kept in the conversation as turn ``turn``.

    ``confidence`` is the mean probability (0..1) of the answer's tokens as the model gave them, before any
    grammar or temperature. ``finish`` says why it ended: "stop" is the model's own end, "length" means
    that ``max_new_tokens`` was reached, "paused" that a call waits for an approval. ``signals`` tell how far it is to
    be trusted. ``budget`` is how every picture of the branch stood in the prompt of this answer, ``left_out`` what was
    too old to stand there at all. ``passes`` is how often the model was run for it. ``text`` are the model's own words;
    the answer as a string hedges what failed its check, in the language ``lang``.
    """

    text: str
    conversation: str
    turn: int
    model: str
    finish: Finish = "stop"
    looks: tuple[Look, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    usage: Usage = field(default_factory=Usage)
    timing: Timing = field(default_factory=Timing)
    confidence: float | None = None
    images: tuple[SeenImage, ...] = ()
    notices: tuple[str, ...] = ()
    signals: Signals | None = None
    budget: tuple[Budgeted, ...] = ()
    left_out: LeftOut | None = None
    lang: str = "en"
    passes: int = 1

    @property
    def hedged(self) -> str:
        """The model's words, with a remark in brackets after each claim that a check did not bear out."""
        from .checks.hedges import hedged

        return hedged(self.text, self.evidence, self.lang)

    def __str__(self) -> str:
        return self.hedged

    def to_json(self) -> dict[str, Any]:
        """Plain JSON with everything; ``answer`` is the hedged text, ``text`` the model's own words."""
        return {"answer": self.hedged, **{field.name: _plain(getattr(self, field.name)) for field in fields(self)}}


def _plain(value: Any) -> Any:
    """Values as mappings of their fields, however deep; `dataclasses.asdict` copies every word and number as well."""
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple):
        return tuple(_plain(each) for each in cast("tuple[Any, ...]", value))
    return dict(cast("Mapping[str, Any]", value)) if isinstance(value, Mapping) else value
