# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
"""The checkpoint before training, made anew or taken from another, and the export of the finished one."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoProcessor,
    CLIPVisionConfig,
    LlavaNextConfig,
    LlavaNextForConditionalGeneration,
    LlavaNextImageProcessorPil,
    LlavaNextProcessor,
    MistralConfig,
    PreTrainedTokenizerFast,
)

from looktwice.world import COLOURS, KINDS, PLACES, SHAPES
from looktwice.world.asking import WORDINGS

from .names import NAMES
from .shelf import GEOMETRY

__all__ = ["export", "load", "new"]

_CONTROL = (
    *("<|im_start|>", "<|im_end|>", "<image>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>"),
    "<|pad|>",
)
_VOCABULARY = 704
_CONTEXT = 4096
# A name has the same tokens after "Image " and after "@"; capitals and digits are always tokens of their own, and so is
# each number of a box: what is to be copied or spelled is then copied or spelled token by token.
_SPLIT = r"Image |Text in |Tools: |(?<=[\[,])\d+(?=[,\]])| ?[A-Z][a-z]+| ?[a-z]+|[A-Z]|\d|\s|[^\sA-Za-z\d]+"
_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n"
    "{% if m['content'] is string %}{{ m['content'] }}"
    "{% else %}{% for c in m['content'] %}{% if c['type'] == 'image' %}<image>\n{% else %}{{ c['text'] }}{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def new() -> tuple[Any, Any]:
    """A model with random weights, and its processor."""
    processor = _processor(_tokenizer())
    tokenizer = processor.tokenizer
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in _CONTROL}
    vision = CLIPVisionConfig(
        hidden_size=192,
        intermediate_size=768,
        num_hidden_layers=4,
        num_attention_heads=6,
        image_size=GEOMETRY.tile,
        patch_size=GEOMETRY.patch,
        hidden_act="relu",
        projection_dim=192,
    )
    text = MistralConfig(
        vocab_size=len(tokenizer),
        hidden_size=256,
        intermediate_size=512,
        num_hidden_layers=6,
        num_attention_heads=4,
        num_key_value_heads=4,
        head_dim=64,
        rms_norm_eps=1e-5,
        sliding_window=None,
        max_position_embeddings=_CONTEXT,
        rope_parameters={"rope_type": "default", "rope_theta": 10_000.0},
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=ids["<|im_end|>"],
        pad_token_id=ids["<|pad|>"],
        initializer_range=0.05,
    )
    config = LlavaNextConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=ids["<image>"],
        projector_hidden_act="gelu",
        vision_feature_select_strategy="default",
        vision_feature_layer=-1,
        image_grid_pinpoints=[list(point) for point in GEOMETRY.pinpoints],
        tie_word_embeddings=True,
        image_seq_length=(GEOMETRY.tile // GEOMETRY.patch) ** 2,
    )
    return LlavaNextForConditionalGeneration(config), processor


def load(folder: Path) -> tuple[Any, Any]:
    """The model, in float32, and the processor of a checkpoint."""
    model = LlavaNextForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    return model, AutoProcessor.from_pretrained(folder)


def export(model: Any, processor: Any, folder: Path, beside: Path) -> None:
    """Write a checkpoint in bfloat16; what stands ``beside`` it for the package alone comes along."""
    model.generation_config.do_sample = False
    model.generation_config.bos_token_id = None
    model.generation_config.eos_token_id = processor.tokenizer.eos_token_id
    model.generation_config.pad_token_id = processor.tokenizer.pad_token_id
    model.set_attn_implementation("sdpa")
    model.to(torch.bfloat16).save_pretrained(folder)
    processor.save_pretrained(folder)
    shutil.copy(beside / "looktwice.json", folder)


def _tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level BPE in which each word of the world is one token (and any other text some tokens)."""
    tokenizer = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(_SPLIT), "isolated")
    bytes_ = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, bytes_])
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=_VOCABULARY, special_tokens=list(_CONTROL), initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(_corpus(), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|pad|>",
        extra_special_tokens={"image_token": "<image>"},
        additional_special_tokens=[t for t in _CONTROL if t not in ("<|im_end|>", "<|pad|>", "<image>")],
        padding_side="left",
        clean_up_tokenization_spaces=False,
        model_max_length=_CONTEXT,
    )


def _corpus() -> Iterator[str]:
    """Words as often as they matter: what is always said before what some pictures are called."""
    spoken = " ".join(wording for kind in KINDS for wording in WORDINGS[kind])
    words = {*re.findall(r"[A-Za-z][a-z]+", spoken), *COLOURS, *SHAPES, *" ".join(PLACES).split()}
    words |= {f"{kind}s" for kind in SHAPES} | set(_SAID.split())
    for word in sorted(words):
        yield from [word, f" {word}"] * 2000
    for start in ("Image ", "Text in ", "Tools: "):
        yield from [start] * 3000
    for number in range(0, 1001, 50):
        yield from [f"[{number},"] * 2000
    for mark in ('{"', '":"', '","', '":{"', '":[', "]}}", '"}}', "?", ".", ",", ":", "@", '"', "\n"):
        yield from [mark] * 500
    for name in NAMES:
        yield from [name] * 5


_SAID = """
user assistant system zoom ocr name arguments image box none yes no nothing unreadable sign says at an the and crosses
Uncertain In with Read Use on of that into text And What about Which picture image say
"""


def _processor(tokenizer: PreTrainedTokenizerFast) -> LlavaNextProcessor:
    side = {"height": GEOMETRY.tile, "width": GEOMETRY.tile}
    images = LlavaNextImageProcessorPil(
        size=side,
        crop_size=side,
        image_grid_pinpoints=[list(point) for point in GEOMETRY.pinpoints],
        image_mean=[0.5] * 3,
        image_std=[0.5] * 3,
        do_center_crop=False,
    )
    return LlavaNextProcessor(
        image_processor=images,
        tokenizer=tokenizer,
        patch_size=GEOMETRY.patch,
        vision_feature_select_strategy="default",
        image_token="<image>",
        num_additional_image_tokens=1,
        chat_template=_TEMPLATE,
    )
