"""Descriptions: a title that fits, sections, what is uncertain, and nothing invented of a picture that shows nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw
from scenes import receipt, scene
from shell import run

from looktwice import Agent
from looktwice.agent.access import Prompts, describe
from looktwice.agent.backends import ScriptedBackend
from looktwice.agent.prompt import Prompt

WALL = scene(("red", "circle", "top left"), ("blue", "square", "bottom right"))


def scripted(*lines: str, **given: Any) -> tuple[Agent, ScriptedBackend]:
    backend = ScriptedBackend(lines)
    return Agent(backend, memory=":memory:", **given), backend


def last_words(prompt: Prompt) -> str:
    return "".join(getattr(segment, "text", "") for segment in prompt.messages[-1].segments)


def test_the_first_sentence_is_a_title_without_the_word_picture() -> None:
    agent, _ = scripted("The image shows a red circle and a blue square. It is drawn.")
    assert describe(WALL, agent=agent).title == "A red circle and a blue square."
    assert agent.memory.conversations.list() == []  # nothing is kept


def test_a_title_that_is_too_long_is_asked_for_once_more_and_then_cut() -> None:
    long = " ".join(["a red circle beside a blue square and"] * 5)
    agent, backend = scripted(long, "Two shapes.")
    assert describe(WALL, agent=agent).title == "Two shapes."
    assert last_words(backend.prompts[1]).startswith("Say that once more in at most 80 characters")
    agent, _ = scripted(long, long)
    title = describe(WALL, agent=agent).title
    assert len(title) <= 125
    assert title.endswith("and a red\N{HORIZONTAL ELLIPSIS}")
