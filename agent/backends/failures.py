"""What is told where torch or transformers fail: one line, with the way out."""

from __future__ import annotations

import torch

from ...errors import LookTwiceError, ModelError


def explained(error: BaseException) -> BaseException:
    """What the user is told: our own errors as they are, torch's in one line with the way out."""
    if isinstance(error, LookTwiceError) or not isinstance(error, Exception):
        return error
    if is_out_of_memory(error):
        told = ModelError(
            "the model ran out of memory; ask about fewer pictures, give them a smaller budget,"
            " or load it with quantize='4bit'"
        )
    else:
        first = (str(error).splitlines() or [""])[0]
        told = ModelError(f"the model failed: {type(error).__name__}: {first}")
    told.__cause__ = error
    return told


def is_out_of_memory(error: BaseException) -> bool:
    """Whether there was no room for tensors."""
    return isinstance(error, torch.cuda.OutOfMemoryError | MemoryError) or "out of memory" in str(error).lower()
