"""Our agent against ``transformers serve``: the same checkpoint there and in this process, greedy, answer by answer.

    python benchmarks/remote.py --install         # fastapi and accelerate, which it needs, from the package index
    python benchmarks/remote.py --packages DIR    # those from a folder; without either, as they are installed

The checkpoint is pocket's, as any public LLaVA-NeXT has it: without the file that tells looktwice of its style. Each
conversation has a picture and two questions. Prints a table, and ends with 1 if an answer differs.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

import httpx

from looktwice import Agent
from looktwice.world import Scene, random_scene

PICTURES = 12
LONGEST = 24  # tokens
PATIENCE = 180.0  # seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--install", action="store_true", help="install what it needs into a folder first")
    parser.add_argument("--packages", type=Path, help="a folder that has it")
    wanted = parser.parse_args()
    folder: Path | None = wanted.packages
    if wanted.install:
        folder = Path(tempfile.mkdtemp(prefix="looktwice-serve-"))
        command = [sys.executable, "-m", "pip", "install", "-q", "--target", folder]
        subprocess.run([*command, "fastapi", "accelerate"], check=True)
    with serving(folder) as url:
        same = compared(url)
    print(f"\n{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}", end="")
    print("".join(f", {name} {version(name)}" for name in ("transformers", "torch", "openai")))
    sys.exit(0 if same else 1)


@contextlib.contextmanager
def serving(packages: Path | None) -> Generator[str]:
    """``transformers serve`` on a free port; ended afterwards."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    path = os.pathsep.join(filter(None, [str(packages or ""), os.environ.get("PYTHONPATH", "")]))
    own = [sys.executable, "-m", "transformers.cli.transformers"]
    command = [*own, "serve", "--host", "127.0.0.1", "--port", str(port), "--device", "cpu", "--dtype", "float32"]
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path, "HF_HUB_OFFLINE": "1"}) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            wait(url, process)
            yield f"{url}/v1"
        finally:
            process.terminate()


def wait(url: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if process.poll() is not None:
            raise SystemExit(f"transformers serve ended with {process.returncode}; it needs fastapi: try --install")
        with contextlib.suppress(httpx.HTTPError):
            httpx.get(f"{url}/health", trust_env=False)
            return
        time.sleep(0.5)
    raise SystemExit("transformers serve didn't begin")


def compared(url: str) -> bool:
    """Ask both; print how many answers are the same, and what was found out about the server."""
    rng = random.Random(0)
    scenes = [random_scene(rng, shapes=2) for _ in range(PICTURES)]
    with tempfile.TemporaryDirectory() as folder:
        source = os.path.join(folder, "plain")
        hidden = shutil.ignore_patterns("looktwice.json", "*.py", "__pycache__")
        shutil.copytree(files("looktwice.agent.backends") / "pocket", source, ignore=hidden)  # type: ignore[arg-type]
        with (
            Agent(source, memory=":memory:", device="cpu", dtype="float32") as near,
            Agent(f"openai:{source}", memory=":memory:", base_url=url) as far,
        ):
            pairs = [pair for scene in scenes for pair in zip(ask(near, scene), ask(far, scene), strict=True)]
    same = sum(one == other for one, other in pairs)
    print(f"{same} of {len(pairs)} greedy answers the same, such as {pairs[0][0]!r}, {pairs[1][0]!r}")
    for one, other in [pair for pair in pairs if pair[0] != pair[1]][:3]:
        print(f"  here  {one!r}\n  there {other!r}")
    print("\n".join(f"said: {notice}" for notice in dict.fromkeys(SAID)))
    return same == len(pairs)


SAID: list[str] = []


def ask(agent: Agent, scene: Scene) -> list[str]:
    """Two answers of a new conversation about one picture."""
    chat, thing = agent.chat(), scene.shapes[0]
    chat.add(scene.image(), name="image")
    answers = [
        chat.ask(question, max_new_tokens=LONGEST)
        for question in (f"What colour is the {thing.kind}?", f"Where is the {scene.shapes[1].kind}?")
    ]
    SAID.extend(notice for answer in answers for notice in answer.notices)
    return [answer.text for answer in answers]


if __name__ == "__main__":
    main()
