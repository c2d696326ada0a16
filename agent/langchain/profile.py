"""What the chat model can and can't do, in LangChain's words."""

from __future__ import annotations

from langchain_core.language_models import ModelProfile

from ..models import MODELS

__all__ = ["profile_of"]


def profile_of(model: str) -> ModelProfile:
    """The profile of a checkpoint; its context stands there if the checkpoint is known by name."""
    profile = ModelProfile(
        name=model,
        open_weights=True,
        text_inputs=True,
        image_inputs=True,
        image_url_inputs=False,
        pdf_inputs=False,
        audio_inputs=False,
        video_inputs=False,
        image_tool_message=True,
        pdf_tool_message=False,
        text_outputs=True,
        image_outputs=False,
        audio_outputs=False,
        video_outputs=False,
        reasoning_output=False,
        tool_calling=True,
        tool_choice=True,
        structured_output=True,
    )
    for known in MODELS:
        if known.name == model:
            profile["max_input_tokens"] = known.context
    return profile
