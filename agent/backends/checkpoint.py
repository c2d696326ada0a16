"""A checkpoint without its weights: configuration, tokenizer, picture geometry, chat format.

Enough to compose and count a prompt. Everything is read from the local folder or the local hub cache;
nothing is ever downloaded here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ...errors import LookTwiceError, ModelError, ModelMissing
from ...tools.tiling import ImageTokens
from ..formats import Format, family, recognise
from ..prompt import Sees, Style
from ..trigger import Calibration
from . import pocket
from .encoder import Encoder

CLASSES = {"llava_next": "LlavaNextForConditionalGeneration", "llava": "LlavaForConditionalGeneration"}


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What is known of a model before its weights are loaded.

    ``source`` is a folder or a hub name; ``context`` its length in tokens; ``stops`` the ids that end an
    answer; ``note`` one sentence on what it can't do, ``calibration`` when its answers are doubtful, and ``prompts``
    what it was trained to be asked for a description, all from the checkpoint's own ``looktwice.json``.
    """

    name: str
    source: str
    config: Any
    processor: Any
    encoder: Encoder
    context: int
    stops: tuple[int, ...]
    style: Style
    note: str
    calibration: Calibration | None = None
    prompts: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def kind(self) -> str:
        """The model's type in transformers: "llava_next" or "llava"."""
        return self.config.model_type


def open_checkpoint(model: str, *, chat_format: str | None = None) -> Checkpoint:
    """Read a checkpoint: "pocket", a folder, or the hub name of one that is in the local cache.

    Raises ModelError, in one line that says what to run, where it is missing or not a LLaVA.
    """
    source = str(pocket.PATH) if model == "pocket" else os.path.expanduser(model)
    _require_plausible(model, source)
    config, processor = _read(model, source)
    if config.model_type not in CLASSES:
        known = ", ".join(sorted(CLASSES))
        raise ModelError(f"{model!r} is a {config.model_type!r} checkpoint; looktwice runs {known}")
    try:
        return _checked(model, source, config, processor, chat_format)
    except LookTwiceError:
        raise
    except Exception as error:  # settings of a kind that nobody expects
        raise _unreadable(model, error) from error


def _checked(model: str, source: str, config: Any, processor: Any, chat_format: str | None) -> Checkpoint:
    tokenizer = processor.tokenizer
    fmt = _format(processor, config, chat_format)
    image_id = config.image_token_index if hasattr(config, "image_token_index") else config.image_token_id
    encoder = Encoder(tokenizer, fmt, _geometry(config, processor), image_token_id=image_id)
    own = _own_words(source)
    return Checkpoint(
        name=own.name or model,
        source=source,
        config=config,
        processor=processor,
        encoder=encoder,
        context=config.text_config.max_position_embeddings,
        stops=_stops(encoder, config),
        style=_style(own, config.model_type),
        note=own.note,
        calibration=own.calibration,
        prompts=own.prompts,
    )


def _style(own: _OwnWords, kind: str) -> Style:
    """LLaVA-NeXT was trained on one picture at a time, unless a checkpoint says otherwise."""
    single = kind == "llava_next" and own.pictures is None
    return Style(own.always_named, own.tools, own.pictures, own.tokens, own.thumbnails, single, own.sees)


def _require_plausible(model: str, source: str) -> None:
    if source and Path(source).is_dir():
        if not (Path(source) / "config.json").is_file():
            raise ModelError(f"the folder {model!r} has no config.json; give the folder of a saved LLaVA checkpoint")
        return
    looks_local = model.startswith((".", "/", "~")) or model.count("/") != 1 or Path(source).exists()
    if not model.strip() or looks_local:
        raise ModelMissing(
            f"no model {model!r}; give 'pocket', a folder, or a hub name such as 'llava-hf/llava-v1.6-mistral-7b-hf'"
        )


def _read(model: str, source: str) -> tuple[Any, Any]:
    import transformers

    library: Any = transformers  # its loaders are not typed
    try:
        config = library.AutoConfig.from_pretrained(source, local_files_only=True)
        processor = library.AutoProcessor.from_pretrained(source, local_files_only=True)
    except Exception as error:  # a broken file makes the libraries raise anything
        if isinstance(error, OSError | ValueError | KeyError) and not Path(source).is_dir():
            raise missing(model) from error
        raise _unreadable(model, error) from error
    return config, processor


def _unreadable(model: str, error: Exception) -> ModelError:
    reason = (str(error).splitlines() or [""])[0] or type(error).__name__
    return ModelError(f"the checkpoint in {model!r} can't be read ({reason}); save it again")


def missing(model: str) -> ModelMissing:
    """The error of a model whose files, or some of them, aren't on this machine."""
    if Path(model).is_dir():
        return ModelMissing(
            f"the folder {model!r} has no weights that can be read; save or download the checkpoint again"
        )
    return ModelMissing(
        f"the model {model!r} is not on this machine and looktwice never downloads; run: hf download {model}"
    )


def _format(processor: Any, config: Any, chosen: str | None) -> Format:
    tokenizer = processor.tokenizer
    template: str | None = processor.chat_template or tokenizer.chat_template
    if chosen:
        return family(chosen)
    found = recognise(
        added_tokens=tokenizer.get_added_vocab(), template=template, text_model=config.text_config.model_type
    )
    if not template:
        return found

    def render(messages: list[dict[str, Any]]) -> str:
        return processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)

    return found.learned(render, bos=tokenizer.bos_token)


def _geometry(config: Any, processor: Any) -> ImageTokens:
    vision = config.vision_config
    side = vision.image_size // vision.patch_size
    base = side * side + processor.num_additional_image_tokens
    base -= processor.vision_feature_select_strategy == "default"
    if config.model_type == "llava":
        return ImageTokens(vision.image_size, vision.patch_size, fixed=base)
    if base != side * side:
        raise ModelError(f"a vision tower with {base} features for {side * side} patches is not supported by looktwice")
    points = tuple((int(height), int(width)) for height, width in config.image_grid_pinpoints)
    return ImageTokens(vision.image_size, vision.patch_size, pinpoints=points)


def _stops(encoder: Encoder, config: Any) -> tuple[int, ...]:
    """Ids that end an answer: the tokenizer's and the configuration's, and the format's own."""
    found: list[int | None] = [encoder.tokenizer.eos_token_id]
    for source in (config, config.text_config):
        eos = getattr(source, "eos_token_id", None)
        found += eos if isinstance(eos, list) else [eos]
    found += [i for token, i in encoder.control.items() if token == encoder.format.answer_close.strip()]
    return tuple(sorted({i for i in found if i is not None and 0 <= i < len(encoder.tokenizer)}))


class _OwnWords(BaseModel):
    """What looktwice.json may hold."""

    model_config = ConfigDict(strict=True, extra="ignore")

    name: str | None = None
    always_named: bool = False
    tools: Literal["schemas", "names"] = "schemas"
    pictures: Annotated[int, Field(ge=1)] | None = None
    tokens: Annotated[int, Field(ge=1)] | None = None
    thumbnails: bool = True
    sees: Sees = Sees()
    note: str = ""
    calibration: Calibration | None = None
    prompts: dict[str, str] = Field(default_factory=dict)


def _own_words(source: str) -> _OwnWords:
    """What the checkpoint says of itself in looktwice.json, if it has one."""
    path = Path(source) / "looktwice.json"
    if not path.is_file():
        return _OwnWords()
    try:
        return _OwnWords.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        told = f"{where}: {first['msg']}" if where else first["msg"]
        raise ModelError(f"the file {str(path)!r} can't be used ({told}); correct it") from error
