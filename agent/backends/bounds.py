"""What bounds each step of an answer: control tokens that it may not hold, and the grammar of calls."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from ...errors import InvalidInput
from ..calls import CLOSE, OPEN, Offer
from .backend import Settings
from .checkpoint import Checkpoint
from .sampling import CallGrammar, Forbid


class Bounds:
    """Makes the logits processors for answers of one checkpoint."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint
        self._grammar_tokenizer: Any = None

    @property
    def control(self) -> set[int]:
        """The ids of control tokens, which no answer holds, without those that end it."""
        encoder = self._checkpoint.encoder
        return {*encoder.control.values(), encoder.image_token_id} - set(self._checkpoint.stops)

    def around(self, offer: Offer | None) -> list[Any]:
        """An answer never holds a control token, but for the tags of a call on offer.

        Raises InvalidInput where a tool's schema prescribes one.
        """
        if offer is None:
            return [Forbid(self.control)]
        encoder = self._checkpoint.encoder
        open_id, close_id = encoder.call_tag(OPEN), encoder.call_tag(CLOSE)
        if open_id is None or close_id is None:
            open_id = close_id = None
        allowed = {open_id, close_id} if offer.is_open else set[int | None]()
        _require_sayable(offer, encoder.control)
        grammar = offer.grammar(open_id=open_id, close_id=close_id)
        return [Forbid(self.control - allowed), CallGrammar(self._for_grammar(), grammar)]

    def _for_grammar(self) -> Any:
        if self._grammar_tokenizer is None:
            import llguidance.hf

            tokenizer = self._checkpoint.encoder.tokenizer
            vocabulary = max(len(tokenizer), self._checkpoint.config.text_config.vocab_size)
            self._grammar_tokenizer = llguidance.hf.from_tokenizer(
                tokenizer, n_vocab=vocabulary, eos_token=list(self._checkpoint.stops)
            )
        return self._grammar_tokenizer


def require_sense(settings: Settings, offer: Offer | None) -> None:
    """Raise InvalidInput for settings that can't go together, or not with calls."""
    if settings.num_beams > 1 and offer is not None and offer.is_open:
        raise InvalidInput(
            f"num_beams {settings.num_beams} can't be used with tools: a call is bounded along one beam; give 1"
        )
    if settings.num_beams > 1 and (settings.stop or settings.timeout):
        raise InvalidInput(f"num_beams {settings.num_beams} can't be used with stop or timeout; give 1")


def _require_sayable(offer: Offer, control: Collection[str]) -> None:
    """Raise InvalidInput for a schema that prescribes a control token: no answer can spell one."""
    written = json.dumps(offer.schema(), ensure_ascii=False) if offer.is_open else ""
    spelled = [token for token in control if token in written]
    if spelled:
        raise InvalidInput(f"a tool's schema holds {spelled[0]!r}, which is a control token of this model; rename it")
