"""Loading a checkpoint's weights: where to, in which type, quantised or not. The only file that reads them."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import logging
import threading
from collections.abc import Generator
from typing import Any, get_args

import torch
import transformers
from huggingface_hub import constants

from ...errors import InvalidInput, ModelError
from .backend import Decoding
from .checkpoint import CLASSES, Checkpoint, missing

_log = logging.getLogger(__name__)
_LOADING = threading.Lock()  # transformers changes torch while it loads; two at once leave it changed


def load(checkpoint: Checkpoint, *, device: str, dtype: torch.dtype, quantization: Any, attention: str = "sdpa") -> Any:
    """The model, ready to answer; ``quantization`` is transformers' configuration for it, or None.

    ``attention`` is transformers' name of how the language model's attention is computed.
    Nothing is downloaded; raises ModelError for files that aren't there.
    """
    kind = getattr(transformers, CLASSES[checkpoint.kind])
    options: dict[str, Any] = {
        "dtype": dtype,
        "local_files_only": True,
    }
    options["attn_implementation"] = {"text_config": attention, "vision_config": "sdpa"}
    if quantization is not None:
        import_bitsandbytes()
        options |= {"quantization_config": quantization, "device_map": device}
    elif importlib.util.find_spec("accelerate") and device != "cpu":
        options["device_map"] = device  # weights go straight to the GPU
    _log.info("loading %s on %s as %s with %s", checkpoint.name, device, dtype, attention)
    try:
        with _LOADING, _no_progress_bars():
            model, found = kind.from_pretrained(checkpoint.source, output_loading_info=True, **options)
    except OSError as error:
        raise missing(checkpoint.source) from error
    lacking = sorted(key for key in found["missing_keys"] if not _is_unused(key))
    if lacking:  # transformers would make them up
        raise ModelError(
            f"the checkpoint {checkpoint.source!r} lacks {len(lacking)} of its weights ({lacking[0]!r}, ...);"
            " download it again"
        )
    return (model if "device_map" in options else model.to(device)).eval()


def import_bitsandbytes() -> None:
    """Import it without its downloads: on some processors it fetches code from the hub, if ``kernels`` is installed.

    Raises ModelError where it doesn't go.
    """
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # with 8 bits it warns of its casts, at every product
    was_offline, constants.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE, True
    try:
        importlib.import_module("bitsandbytes")
    except ImportError as error:
        raise ModelError(f"bitsandbytes can't be used here ({error}); drop quantize") from error
    finally:
        constants.HF_HUB_OFFLINE = was_offline


def _is_unused(key: str) -> bool:
    """Whether a weight lies behind the layers of the vision tower that a LLaVA looks at; some checkpoints omit it."""
    return "vision_tower" in key and any(part in key for part in (".post_layernorm.", ".head."))


def choose_device(wanted: str | None) -> str:
    """The device to load on; None or "auto" is the best there is. Raises InvalidInput for one that isn't there."""
    best = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    if wanted in (None, "auto"):
        return best
    there = {"cpu", best}
    if wanted.split(":")[0] not in there:
        raise InvalidInput(f"device {wanted!r} is not there; this machine has: {', '.join(sorted(there))}")
    return wanted


def choose_dtype(wanted: str | None, device: str) -> torch.dtype:
    """The floating-point type by its name; None is bfloat16 on a GPU and float32 on the CPU. Raises InvalidInput."""
    if wanted is None:
        # bfloat16 matrix products end the process on some virtual machines' CPUs
        return torch.float32 if device == "cpu" else torch.bfloat16
    found = getattr(torch, wanted, None)
    if not isinstance(found, torch.dtype) or not found.is_floating_point:
        raise InvalidInput(f"dtype {wanted!r} is unknown; give 'float32', 'bfloat16' or 'float16'")
    return found


def choose_decoding(wanted: Decoding | None, device: str, quantize: str | None) -> Any:
    """How steps are compiled, as transformers' ``CompileConfig``; None where they aren't.

    "auto" compiles on a CUDA device, where triton is there and the weights aren't quantised. Raises InvalidInput.
    """
    if wanted is not None and wanted not in get_args(Decoding):
        raise InvalidInput(f"decoding {wanted!r} is unknown; give 'auto', 'eager', 'compiled' or 'lookup'")
    fits = device.startswith("cuda") and quantize is None and importlib.util.find_spec("triton") is not None
    if wanted in (None, "eager", "lookup") or (wanted == "auto" and not fits):
        return None
    library: Any = transformers  # the class is not exported by name for type checkers
    # Every size of the slate is compiled for by itself: with symbolic sizes there are no CUDA graphs.
    config = library.CompileConfig(dynamic=False)
    config._compile_all_devices = not device.startswith("cuda")
    return config


def quantization(wanted: str | None, device: str) -> Any:
    """Transformers' configuration of "4bit" or "8bit" weights.

    Raises ModelError where its library is missing, InvalidInput on a device where that would fetch code by itself.
    """
    if wanted is None:
        return None
    if wanted not in ("4bit", "8bit"):
        raise InvalidInput(f"quantize {wanted!r} is unknown; give '4bit' or '8bit'")
    if not importlib.util.find_spec("bitsandbytes"):
        raise ModelError(f"quantize={wanted!r} needs bitsandbytes; run: pip install 'looktwice[quantize]'")
    if device.startswith("mps"):
        raise InvalidInput(
            f"quantize {wanted!r} can't be used on {device!r}: bitsandbytes would download its code; drop it"
        )
    return transformers.BitsAndBytesConfig(load_in_4bit=wanted == "4bit", load_in_8bit=wanted == "8bit")


@contextlib.contextmanager
def _no_progress_bars() -> Generator[None]:
    """A library prints nothing: transformers' bars are off for a while, then as they were."""
    were_on = transformers.utils.logging.is_progress_bar_enabled()
    transformers.utils.logging.disable_progress_bar()
    try:
        yield
    finally:
        if were_on:
            transformers.utils.logging.enable_progress_bar()
