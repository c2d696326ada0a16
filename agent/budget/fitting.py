"""Makes a branch fit: counts exactly, asks the policy what to lower, and leaves old turns out if the user chose so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, get_args

from ...errors import InvalidInput, PromptTooLong
from ...memory import Conversation, Memory, NamedPicture, fold
from ...memory.parts import Turn
from ..answer import Budgeted, LeftOut, Tier
from ..backends.backend import Backend, Row
from ..prompt import PIXELS, Place, Prompt, compose, earlier, known
from .costs import Costs
from .policy import Choice, Policy, Room, Standing, least_recent_first
from .room import ROOM, fits
from .tiers import Tiers
from .uses import ages

OldTurns: TypeAlias = Literal["keep", "drop", "summarize"]

_ANSWER_SHARE = 8  # an answer's room is kept free up to this part of the context, if so much is asked for
_TEXT_HIGH, _TEXT_LOW = 0.5, 0.25  # the share of the room above which old words are left out, and the one they go to
_TRIES = 4  # words are counted by themselves at first; joined to others they may take a token more


@dataclass(frozen=True, slots=True)
class Limits:
    """What a user may set: the most ``tokens`` of all pictures, the ``policy``, and what happens to ``old_turns``.

    ``old_turns``: "keep" refuses a question for which there is no room, "drop" leaves the oldest turns out of the
    prompt, "summarize" has the model sum them up first. They stay in memory in any case.
    """

    tokens: int | None = None
    policy: Policy = least_recent_first
    old_turns: OldTurns = "keep"

    def __post_init__(self) -> None:
        if self.tokens is not None and (isinstance(self.tokens, bool) or self.tokens < 1):
            raise InvalidInput(f"budget {self.tokens!r} can't be used; give the most tokens for pictures, 1 or more")
        if self.old_turns not in get_args(OldTurns):
            raise InvalidInput(f"old_turns {self.old_turns!r} can't be used; give 'keep', 'drop' or 'summarize'")


@dataclass(frozen=True, slots=True)
class Fitted:
    """A prompt, its rows, and the tiers that it was composed with."""

    prompt: Prompt
    rows: Sequence[Row]
    tiers: Tiers

    @property
    def tokens(self) -> int:
        """The prompt's length."""
        return sum(row.tokens for row in self.rows)


@dataclass(frozen=True, slots=True)
class _At:
    """A picture at one place."""

    place: Place
    picture: NamedPicture


class Fitter:
    """Fits the branches of one conversation into the context of one backend."""

    def __init__(
        self, backend: Backend, memory: Memory, conversation: Conversation, limits: Limits, costs: Costs
    ) -> None:
        """``costs`` counts for the backend."""
        self.limits = limits
        self.costs = costs
        self._backend = backend
        self._memory = memory
        self._conversation = conversation
        self._last: tuple[tuple[object, ...], Fitted] | None = None

    def fit(
        self,
        turns: Sequence[Turn],
        images: Mapping[str, NamedPicture],
        before: Tiers,
        *,
        max_new_tokens: int,
        open_answer: bool = False,
    ) -> Fitted:
        """The branch with as little lowered as fits; nothing changes against ``before`` while it fits as it is.

        What can't be made to fit comes back as small as it gets: see `require`.
        """
        work = _Work(self, turns, images, open_answer, self._limit(max_new_tokens))
        fitted = work.composed(before)
        if work.is_good(fitted):
            return fitted
        if self.limits.old_turns != "keep":
            fitted = work.without_old(fitted, to=_TEXT_LOW, above=_TEXT_HIGH)
        fitted = work.lowered(fitted)
        if self.limits.old_turns != "keep" and fitted.tokens > work.limit:
            fitted = work.lowered(work.without_old(fitted, to=0.0, above=0.0))
        return fitted

    def require(self, fitted: Fitted, max_new_tokens: int) -> Fitted:
        """The same, if it fits. Raises PromptTooLong, with the count, the limit and what to do, else."""
        pictures = [row for row in fitted.rows if row.image]
        shown, budget = sum(row.tokens for row in pictures), self.limits.tokens
        if budget is not None and shown > budget:
            raise PromptTooLong(
                f"the budget of {budget} tokens can't hold the pictures of this question, as small as they get:"
                f" {_listed(pictures)}; give {shown} or more, or ask about fewer"
            )
        if fits(fitted.rows, self._backend.context, max_new_tokens):
            return fitted
        room = min(ROOM, max_new_tokens)
        parts = f", {shown} of them for pictures as small as they get ({_listed(pictures)})" if pictures else ""
        if fitted.tokens - shown + room <= self._backend.context:
            way = "ask about fewer pictures at once"
        elif self.limits.old_turns == "keep":
            way = "leave old turns out with old_turns='drop' (--old-turns drop), or begin anew"
        else:
            way = "shorten the question"
        raise PromptTooLong(
            f"the prompt has {fitted.tokens} tokens{parts}, and the model takes {self._backend.context} with {room} for"
            f" the answer; {way}"
        )

    def budget(self, fitted: Fitted, turns: Sequence[Turn], images: Mapping[str, NamedPicture]) -> list[Budgeted]:
        """Every picture of the branch where it stands, in order, with its tier, its tokens and why."""
        tiers, shown = fitted.tiers, {turn.id for turn in fitted.tiers.shown(turns)}
        pixels = iter([row for row in fitted.rows if row.image])
        places = list(standing(turns, images))
        lowered = [at.picture for at in places if at.place in tiers.lowered]
        words = self.costs.in_words(lowered, self.told() if lowered else {})
        found: list[Budgeted] = []
        for at in places:
            choice, name = tiers.lowered.get(at.place, Choice("full")), at.picture.name
            if at.place[0] not in shown:
                choice, tokens = Choice("name", "its turn is too old to fit"), 0
            elif choice.tier in PIXELS:
                tokens = next(pixels).tokens
            else:
                tokens = words[at.picture.key][choice.tier]
            found.append(Budgeted(name, at.place[0], choice.tier, tokens, choice.why))
        return found

    def composed(
        self, turns: Sequence[Turn], images: Mapping[str, NamedPicture], tiers: Tiers, *, open_answer: bool = False
    ) -> Fitted:
        """The prompt of a branch with these tiers, whether it fits or not."""
        in_text = any(choice.tier == "text" for choice in tiers.lowered.values())
        shown = tiers.shown(turns)
        # With what is shown again by now: this line opens the prompt and has to stay the same.
        gone = _gone(turns, shown, images) if tiers.left_out else []
        told = self.told() if in_text else {}
        wanted = (list(turns), dict(images), tiers, told, open_answer)
        if self._last is not None and self._last[0] == wanted:  # counted before it is asked, and told of after
            return self._last[1]
        prompt = compose(
            shown,
            images,
            style=self._backend.style,
            tiers=tiers.tiers,
            told=told,
            earlier=earlier(tiers.left_out, gone),
            open_answer=open_answer,
        )
        fitted = Fitted(prompt, self._backend.rows(prompt), tiers)
        self._last = wanted, fitted
        return fitted

    def told(self) -> dict[str, str]:
        """What is known of each picture in words, by key."""
        return {key: known(notes) for key, notes in self._memory.pictures.all_notes(self._conversation).items()}

    def room(self, tokens: int) -> Room:
        """What pictures may take, where ``tokens`` are left for them."""
        most = tokens if self.limits.tokens is None else min(tokens, self.limits.tokens)
        return Room(most, self._backend.style.pictures, self._backend.style.thumbnails)

    def _limit(self, max_new_tokens: int) -> int:
        context, trained = self._backend.context, self._backend.style.tokens
        answer = min(max_new_tokens, max(ROOM, context // _ANSWER_SHARE))
        return context - answer if trained is None else min(trained, context - answer)


class _Work:
    """One fit: a branch on its way into ``limit`` tokens."""

    def __init__(
        self,
        fitter: Fitter,
        turns: Sequence[Turn],
        images: Mapping[str, NamedPicture],
        open_answer: bool,
        limit: int,
    ) -> None:
        self._fitter = fitter
        self._turns = turns
        self._images = images
        self._open_answer = open_answer
        self.limit = limit

    def composed(self, tiers: Tiers) -> Fitted:
        return self._fitter.composed(self._turns, self._images, tiers, open_answer=self._open_answer)

    def is_good(self, fitted: Fitted) -> bool:
        room = self._fitter.room(self.limit)
        pictures = [row for row in fitted.rows if row.image]
        few = room.pictures is None or len(pictures) <= room.pictures
        return few and fitted.tokens <= self.limit and sum(row.tokens for row in pictures) <= room.tokens

    def lowered(self, fitted: Fitted) -> Fitted:
        """With the policy's choices for every picture that stands in the prompt."""
        turns = fitted.tiers.shown(self._turns)
        places = list(standing(turns, self._images))
        costs = self._fitter.costs.of([at.picture for at in places], self._fitter.told() if places else {})
        old = ages(turns, {fold(at.picture.name) for at in places})
        missing, first = 0, fitted.tiers
        for _ in range(_TRIES):
            now = fitted.tiers.tiers
            tiers: list[Tier] = [now.get(at.place, "full") for at in places]
            pictures = sum(costs[at.picture.key][tier] for at, tier in zip(places, tiers, strict=True))
            room = self._fitter.room(self.limit - missing - (fitted.tokens - pictures))
            fitted = self.composed(self._chosen(places, tiers, costs, old, room, first))
            if fitted.tokens <= self.limit or not places:
                break
            missing += fitted.tokens - self.limit
        return fitted

    def _chosen(
        self,
        places: Sequence[_At],
        tiers: Sequence[Tier],
        costs: Mapping[str, Mapping[Tier, int]],
        old: Mapping[str, int],
        room: Room,
        before: Tiers,
    ) -> Tiers:
        last = {fold(at.picture.name): number for number, at in enumerate(places)}
        pictures = [
            Standing(
                name, tier, costs[at.picture.key], old.get(fold(name), len(self._turns)), number < last[fold(name)]
            )
            for number, (at, tier) in enumerate(zip(places, tiers, strict=True))
            for name in (at.picture.name,)
        ]
        choices = self._fitter.limits.policy(pictures, room)
        if len(choices) != len(places):
            raise InvalidInput(f"the policy gave {len(choices)} choices for {len(places)} pictures; give one for each")
        kept = (
            replace(choice, why=choice.why or before.lowered.get(at.place, choice).why)
            for at, choice in zip(places, choices, strict=True)
        )
        lowered = {at.place: choice for at, choice in zip(places, kept, strict=True) if choice.tier != "full"}
        return replace(before, lowered=lowered)

    def without_old(self, fitted: Fitted, *, to: float, above: float) -> Fitted:
        """Without the oldest questions, if words take more than a share of the limit; the last one always stays."""
        if self._words(fitted) <= above * self.limit:
            return fitted
        shown = {turn.id for turn in fitted.tiers.shown(self._turns)}
        questions = [turn for turn in self._turns if turn.role == "user"]
        begins = [number for number, turn in enumerate(questions) if turn.id in shown]
        low, high = 0, len(begins) - 1
        while low < high:  # the fewest that have to go
            middle = (low + high) // 2
            if self._words(self._since(fitted.tiers, questions, begins[middle])) <= to * self.limit:
                high = middle
            else:
                low = middle + 1
        return self._since(fitted.tiers, questions, begins[low]) if begins and begins[low] > 0 else fitted

    def _since(self, tiers: Tiers, questions: Sequence[Turn], first: int) -> Fitted:
        summary = tiers.left_out.summary if tiers.left_out else ""
        return self.composed(replace(tiers, left_out=LeftOut(questions[first].id, first, summary)))

    def _words(self, fitted: Fitted) -> int:
        return sum(row.tokens for row in fitted.rows if not row.image)


def _listed(pictures: Sequence[Row]) -> str:
    more = f" and {len(pictures) - 5} more" if len(pictures) > 5 else ""
    return ", ".join(f"{row.image} ({row.tokens})" for row in pictures[:5]) + more


def _gone(turns: Sequence[Turn], shown: Sequence[Turn], images: Mapping[str, NamedPicture]) -> list[str]:
    """The names of pictures of the turns that aren't shown."""
    there = {turn.id for turn in shown}
    return [at.picture.name for at in standing(turns, images) if at.place[0] not in there]


def standing(turns: Sequence[Turn], images: Mapping[str, NamedPicture]) -> Iterator[_At]:
    """Every place of a branch where a picture is shown, in the order of the prompt."""
    for turn in turns:
        if turn.role in ("user", "tool"):
            for name in turn.images:
                picture = images.get(fold(name))
                if picture is not None and not picture.forgotten:
                    yield _At((turn.id, fold(name)), picture)
