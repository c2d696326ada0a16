"""Small checkpoints with random weights, one per chat family, made the way the public ones are.

Real configurations, real processors, real tokenizers (trained on a few sentences), saved to a folder and
loaded through the same code as a public checkpoint. The templates render what the public ones render.
"""

from __future__ import annotations

import functools
import json
import tempfile
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

PUBLIC_PINPOINTS = [[336, 672], [672, 336], [672, 672], [1008, 336], [336, 1008]]
FAMILIES = ("mistral", "vicuna", "llava15", "chatml", "llama3", "interleave")

CORPUS = [
    "What is shown in this image? The total on the bill is 42.10 and the tax is 3.50.",
    "USER: ASSISTANT: system user assistant [INST] [/INST] Image bill: Image menu: Compare with the other picture.",
    'You can call a tool: {"name":"zoom","arguments":{"image":"bill","box":[0,0,500,500]}} and the result comes back.',
    "Grüße aus München, 12 Äpfel, naïve café, 100 % — “quoted”, (a) [b] {c} <d> /e\\ \n\n  two  blanks\tand a tab.",
] * 4

IMAGES_FIRST = "{% for c in m.content if c.type == 'image' %}<image>\n{% endfor %}"
TEXTS = "{% for c in m.content if c.type == 'text' %}{{ c.text }}{% endfor %}"
TEMPLATES = {
    "mistral": (
        "{% for m in messages %}{% if m.role == 'user' %}[INST] " + IMAGES_FIRST + TEXTS + " [/INST]"
        "{% else %} " + TEXTS + "</s>{% endif %}{% endfor %}"
    ),
    "vicuna": (
        "{% for m in messages %}{{ m.role.upper() }}: " + IMAGES_FIRST + TEXTS + " {% endfor %}"
        "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
    ),
    "chatml": (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n" + IMAGES_FIRST + TEXTS + "<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    ),
    "interleave": (
        "{% for m in messages %}<|im_start|>{{ m.role }} "
        "{% for c in m.content if c.type == 'image' %}<image>{% endfor %}"
        "{% for c in m.content if c.type == 'text' %}{{ '\n' + c.text }}{% endfor %}<|im_end|>{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant{% endif %}"
    ),
    "llama3": (
        "{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n"
        + IMAGES_FIRST
        + TEXTS
        + "<|eot_id|>{% endfor %}"
        "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
    ),
}
TEMPLATES["llava15"] = TEMPLATES["vicuna"]


def tokenizer(family: str) -> Any:
    """The family's tokenizer, trained on a few sentences."""
    if family == "mistral":
        made = _llama()
    elif family in ("vicuna", "llava15"):
        made = _old_llama()
    else:
        made = _byte_level(family)
    made.add_special_tokens({"additional_special_tokens": ["<image>"]})
    made.chat_template = TEMPLATES[family]
    return made


def _sentencepiece_like() -> dict[str, Any]:
    """A Llama vocabulary: pieces that begin with a blank's sign, and one token for each byte."""
    built = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    built.pre_tokenizer = pre_tokenizers.Metaspace()
    built.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=460, special_tokens=["<unk>", "<s>", "</s>"]))
    plain = json.loads(built.to_str())["model"]
    words = [w for w in plain["vocab"] if w not in ("<unk>", "<s>", "</s>")]
    order = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *words]
    return {"vocab": {word: i for i, word in enumerate(order)}, "merges": [tuple(m) for m in plain["merges"]]}


def _llama() -> Any:
    return transformers.LlamaTokenizer(**_sentencepiece_like(), add_bos_token=True)


def _old_llama() -> Any:
    """As tokenizer.json files of 2023 have it: a blank is put before every run of text, by the normalizer."""
    built = Tokenizer(models.BPE(**_sentencepiece_like(), unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    built.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    built.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    built.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=built, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )


def _byte_level(family: str) -> Any:
    special = {
        "llama3": ["<|begin_of_text|>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>"],
    }.get(family, ["<|endoftext|>", "<|im_end|>", "<|im_start|>"])
    built = Tokenizer(models.BPE())
    built.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    built.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=500, special_tokens=special, initial_alphabet=alphabet)
    built.train_from_iterator(CORPUS, trainer)
    bos = {"bos_token": special[0]} if family == "llama3" else {}
    return transformers.PreTrainedTokenizerFast(tokenizer_object=built, eos_token=special[1], **bos)


@functools.cache
def saved(family: str, *, tile: int = 28, weights: bool = True, seed: int = 0) -> Path:
    """The folder of a checkpoint of that family; pictures are cut in tiles of ``tile`` pixels, patches have 14."""
    folder = Path(tempfile.mkdtemp(prefix=f"looktwice-{family}-"))
    made = tokenizer(family)
    single = family in ("llava15", "interleave")
    config = _config(family, made, tile, single)
    _processor(family, made, tile, single).save_pretrained(folder)
    config.save_pretrained(folder)
    if weights:
        libraries: tuple[Any, Any] = (transformers, torch)  # not typed
        kind = libraries[0].LlavaForConditionalGeneration if single else libraries[0].LlavaNextForConditionalGeneration
        libraries[1].manual_seed(seed)
        kind(config).save_pretrained(folder)
    return folder


def _config(family: str, made: Any, tile: int, single: bool) -> Any:
    vision: dict[str, Any] = {
        "model_type": "siglip_vision_model" if family == "interleave" else "clip_vision_model",
        "image_size": tile,
        "patch_size": 14,
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    }
    text: dict[str, Any] = {
        "model_type": {"mistral": "mistral", "chatml": "llama", "interleave": "qwen2"}.get(family, "llama"),
        "vocab_size": len(made) + 3,  # public checkpoints pad theirs
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 32768,
        "eos_token_id": made.eos_token_id,
        "bos_token_id": made.bos_token_id,
    }
    if family == "mistral":
        text["sliding_window"] = None
    shared: dict[str, Any] = {
        "vision_config": vision,
        "text_config": text,
        "image_token_index": made.convert_tokens_to_ids("<image>"),
        "vision_feature_layer": -1 if family == "interleave" else -2,
        "vision_feature_select_strategy": "full" if family == "interleave" else "default",
    }
    if single:
        return transformers.LlavaConfig(**shared)
    return transformers.LlavaNextConfig(**shared, image_grid_pinpoints=_pinpoints(tile))


def _pinpoints(tile: int) -> list[list[int]]:
    return [[height * tile // 336, width * tile // 336] for height, width in PUBLIC_PINPOINTS]


def _processor(family: str, made: Any, tile: int, single: bool) -> Any:
    size = {"height": tile, "width": tile}
    shared: dict[str, Any] = {
        "tokenizer": made,
        "patch_size": 14,
        "vision_feature_select_strategy": "full" if family == "interleave" else "default",
        "num_additional_image_tokens": 0 if family == "interleave" else 1,
        "image_token": "<image>",
        "chat_template": TEMPLATES[family],
    }
    if family == "interleave":
        return transformers.LlavaProcessor(image_processor=transformers.SiglipImageProcessor(size=size), **shared)
    if single:
        images = transformers.CLIPImageProcessor(size={"shortest_edge": tile}, crop_size=size)
        return transformers.LlavaProcessor(image_processor=images, **shared)
    images = transformers.LlavaNextImageProcessor(
        size={"shortest_edge": tile}, crop_size=size, image_grid_pinpoints=_pinpoints(tile)
    )
    return transformers.LlavaNextProcessor(image_processor=images, **shared)
