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
    elif is_uncompiled(error):
        told = ModelError(f"decoding can't be compiled here ({reason(error)}); use decoding='eager'")
    else:
        told = ModelError(f"the model failed: {reason(error)}")
    told.__cause__ = error
    return told


def reason(error: BaseException) -> str:
    """The kind and the first line of an error, or of the one that torch's compiler wraps."""
    inner: BaseException = getattr(error, "inner_exception", error)
    return f"{type(inner).__name__}: {(str(inner).splitlines() or [''])[0]}"


def is_out_of_memory(error: BaseException) -> bool:
    """Whether there was no room for tensors."""
    return isinstance(error, torch.cuda.OutOfMemoryError | MemoryError) or "out of memory" in str(error).lower()


def is_uncompiled(error: BaseException) -> bool:
    """Whether a computation could not be compiled: what fails is torch's compiler or what it calls, such as gcc."""
    parts = ("torch._dynamo", "torch._inductor")
    return any(kind.__module__.startswith(parts) for kind in type(error).__mro__)
