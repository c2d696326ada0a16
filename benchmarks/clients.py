"""Other people's clients against our server: LangChain's ChatOpenAI and the command line ``llm``.

    python benchmarks/clients.py --install          # in a fresh environment, from the package index
    python benchmarks/clients.py --python DIR/bin/python    # in one that has langchain-openai and llm already

They are no dependencies of looktwice, so they live in an environment of their own, and without either option nothing is
run. Each asks pocket about a drawn picture with a known truth.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import tempfile
import venv
from pathlib import Path

from server import serving

from looktwice.world import random_scene

LANGCHAIN = """
import base64, sys
from importlib.metadata import version
from pathlib import Path
from typing import Literal
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

class Seen(BaseModel):
    colour: Literal["red", "green", "blue"]

url, file, kind = sys.argv[1:]
data = base64.b64encode(Path(file).read_bytes()).decode()
picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}
message = {"role": "user", "content": [picture, {"type": "text", "text": f"What colour is the {kind}?"}]}
model = ChatOpenAI(model="pocket", base_url=url, api_key="none")
print("langchain-openai", version("langchain-openai"))
answer = model.invoke([message])
print("invoke:", answer.content, answer.usage_metadata)
print("stream:", "".join(chunk.content for chunk in model.stream([message])))
again = model.invoke([message, answer, {"role": "user", "content": f"Where is the {kind}?"}])
print("second turn:", again.content, "cached", again.usage_metadata["input_token_details"]["cache_read"])
print("structured:", model.with_structured_output(Seen, method="json_schema").invoke([message]))

def paint(colour: str) -> str:
    '''Paint something in a colour.'''
    return colour

called = model.bind_tools([paint], tool_choice="required").invoke([message])
print("call:", called.tool_calls[0]["name"], sorted(called.tool_calls[0]["args"]))
sure = model.bind(logprobs=True).invoke([message]).response_metadata["logprobs"]["content"][0]
print("log-probability:", sure["token"], sure["logprob"])
"""
LLM_MODELS = """
- model_id: looktwice
  model_name: pocket
  api_base: {url}
  vision: true
"""


def environment(given: argparse.Namespace, folder: Path) -> Path | None:
    """The Python that has the clients."""
    if given.python or not given.install:
        return given.python
    venv.create(folder / "venv", with_pip=True)
    python = folder / "venv" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "langchain-openai", "llm"], check=True)
    return python


def ask_llm(python: Path, folder: Path, url: str, picture: Path, kind: str) -> None:
    (folder / "extra-openai-models.yaml").write_text(LLM_MODELS.format(url=url), encoding="utf-8")
    kept = {**os.environ, "LLM_USER_PATH": str(folder), "OPENAI_API_KEY": "none"}
    command = [python.with_name("llm"), "-m", "looktwice", "-a", picture]
    subprocess.run([python.with_name("llm"), "--version"], check=True)
    subprocess.run([*command, f"What colour is the {kind}?"], env=kept, check=True)
    subprocess.run([python.with_name("llm"), "-c", f"Where is the {kind}?"], env=kept, check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--install", action="store_true", help="install them from the package index")
    parser.add_argument("--python", type=Path, help="a Python that has them")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        python = environment(given, folder)
        if python is None:
            print("nothing was run: the clients are no dependencies of looktwice; give --install or --python")
            return
        scene, scene_file = random_scene(random.Random(5), shapes=1), folder / "scene.png"
        thing = scene.shapes[0]
        scene.image().save(scene_file)
        print(f"drawn: a {thing.colour} {thing.kind}", flush=True)
        with serving(folder / "clients.db") as (_, url):
            subprocess.run([python, "-c", LANGCHAIN, url, scene_file, thing.kind], check=True)
            ask_llm(python, folder, url, scene_file, thing.kind)


if __name__ == "__main__":
    main()
