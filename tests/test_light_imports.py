"""Importing looktwice and asking for help stays light: torch comes in only when a model is loaded."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = {
    "cv2",
    "huggingface_hub",
    "langchain_core",
    "llguidance",
    "onnxruntime",
    "rapidocr",
    "tokenizers",
    "torch",
    "torchvision",
    "transformers",
}
# Beyond the standard library, nothing but these may come in; what they themselves need is theirs.
ALLOWED = {
    "looktwice": set[str](),
    "looktwice.memory": {"PIL", "platformdirs", "pydantic", "sqlite_utils"},
    "looktwice.tools": {"PIL", "platformdirs", "pydantic", "sqlite_utils"},
    "looktwice.agent.cli": {"click"},
}
DIRECT = {"PIL", "click", "platformdirs", "pydantic", "sqlite_utils"} | HEAVY


def modules_after(code: str) -> set[str]:
    """The top-level modules that a fresh interpreter holds after running ``code``."""
    report = "import json, sys; print(json.dumps(sorted({m.split('.')[0] for m in sys.modules})))"
    run = subprocess.run([sys.executable, "-c", f"{code}\n{report}"], capture_output=True, text=True, check=True)
    return set(json.loads(run.stdout.splitlines()[-1]))


@pytest.mark.parametrize("module", ALLOWED)
def test_an_import_brings_in_only_what_it_may(module: str) -> None:
    assert modules_after(f"import {module}") & DIRECT <= ALLOWED[module]


def test_help_imports_neither_torch_nor_transformers() -> None:
    code = """
from looktwice.agent.cli import main
try:
    main(["--help"])
except SystemExit as end:
    assert not end.code
"""
    assert modules_after(code) & DIRECT <= {"click"}
