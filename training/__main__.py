# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
"""``python -m training FOLDER``: make the pocket checkpoint, step by step, going on where an earlier run stopped."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

import torch

from . import base, curves
from .evaluate import evaluate, save, table
from .language import cache_features, train_language
from .settings import Settings, load
from .shelf import draw_shelf, font_files
from .tasks import tasks
from .vision import train_tower

_HERE = Path(__file__).parent
_SHIPPED = _HERE.parent / "agent" / "backends" / "pocket"
_STEPS = ("draw", "tower", "features", "language", "export", "evaluate")


def main() -> None:
    """Parse the command line and run the steps."""
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    parser.add_argument("folder", type=Path, help="where the run keeps its pictures, state, logs and checkpoint")
    parser.add_argument("--config", type=Path, default=_HERE / "pocket.toml")
    parser.add_argument("--from", dest="start", type=Path, help="a checkpoint to go on from (default: random weights)")
    parser.add_argument("--steps", default=",".join(_STEPS), help="some of " + ", ".join(_STEPS))
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--checkpoint", help="what to evaluate (default: the run's own)")
    parser.add_argument("--questions", type=int, default=400, help="for each task of the evaluation")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    settings = load(options.config, options.folder)
    for step in options.steps.split(","):
        _run(step, settings, options)


def _run(step: str, settings: Settings, options: argparse.Namespace) -> None:
    if step == "evaluate":
        checkpoint = options.checkpoint or str(settings.folder / "checkpoint")
        results = evaluate(checkpoint, tasks(_held_out(settings)), options.questions, workers=os.cpu_count() or 1)
        save(results, settings.folder / "results.json")
        print(table(results))
        return
    model, processor = _start(settings, options.start)
    match step:
        case "draw":
            draw_shelf(settings, processor.image_processor, os.cpu_count() or 1)
        case "tower":
            train_tower(model, settings, options.device)
        case "features":
            cache_features(_with_tower(model, settings), settings, options.device)
        case "language":
            train_language(_with_tower(model, settings), processor.tokenizer, settings, options.device)
        case "export":
            finished = _with_language(_with_tower(model, settings), settings)
            base.export(finished, processor, settings.folder / "checkpoint", _SHIPPED)
            curves.draw(settings.folder)
        case _:
            raise SystemExit(f"there is no step {step!r}; the steps are {', '.join(_STEPS)}")


def _held_out(settings: Settings) -> tuple[str | None, ...]:
    return font_files(settings.shelf.held_out_fonts)


def _start(settings: Settings, start: Path | None) -> tuple[Any, Any]:
    """The model and processor of ``start``, or new ones; a run's processor is made once and kept."""
    if start is not None:
        return base.load(start)
    begun = settings.folder / "begun"
    if not begun.exists():
        torch.manual_seed(settings.shelf.seed)
        model, processor = base.new()
        base.export(model, processor, begun, _SHIPPED)
    return base.load(begun)


def _with_tower(model: Any, settings: Settings) -> Any:
    state = settings.folder / "tower.pt"
    if state.exists():
        model.model.vision_tower.load_state_dict(torch.load(state, weights_only=True)["weights"])
    return model


def _with_language(model: Any, settings: Settings) -> Any:
    saved = torch.load(settings.folder / "language.pt", weights_only=True)["weights"]
    missing = [name for name in model.load_state_dict(saved, strict=False).missing_keys if "vision_tower" not in name]
    if missing:
        raise SystemExit(f"{settings.folder / 'language.pt'} lacks {missing[0]!r}; it is of another model")
    return model


if __name__ == "__main__":
    main()
