"""MCP with the official client and real processes: our server over stdio and HTTP, a server's tools in our agent."""

from __future__ import annotations

import base64
import contextlib
import io
import shlex
import subprocess
import sys
from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from typing import Any

import httpx
import pytest
import scenes
from mcp import Client, MCPError, StdioServerParameters
from PIL import Image
from serving import PATIENCE, data_url
from standin import standing_in

from looktwice import Agent, Memory, ScriptedBackend
from looktwice.agent.mcp import Sources, mcp_tools
from looktwice.errors import InvalidInput, PictureRejected

RED = scenes.scene(("red", "circle", "top left"))
SERVER = '''
from typing import Annotated
from mcp.server.mcpserver import Image, MCPServer
from mcp.types import ToolAnnotations
import base64, os
server = MCPServer("things", log_level="ERROR")

@server.tool(annotations=ToolAnnotations(read_only_hint=True))
def weigh(what: str) -> str:
    """Weigh something."""
    print("noise on standard output")
    return f"{what} weighs 3 kg"

@server.tool()
def paint(colour: str) -> str:
    """Paint the wall."""
    open(os.path.join(os.path.dirname(__file__), "painted"), "a").write(colour)
    return f"painted {colour}"

@server.tool(name="the.picture", annotations=ToolAnnotations(read_only_hint=True))
def picture() -> Image:
    """Give a picture."""
    return Image(data=base64.b64decode("PNG"), format="png")

@server.tool(annotations=ToolAnnotations(read_only_hint=True))
def fail() -> str:
    """Fail."""
    raise RuntimeError("secret of the inside")

server.run()
'''


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("things") / "server.py"
    out = io.BytesIO()
    Image.new("RGB", (30, 20), "red").save(out, "PNG")
    path.write_text(SERVER.replace("PNG", base64.b64encode(out.getvalue()).decode()), encoding="utf-8")
    return path


def looktwice(*words: str) -> list[str]:
    return [sys.executable, "-c", "from looktwice.agent.cli import main; main()", *words]


@contextlib.asynccontextmanager
async def over_stdio(*words: str) -> AsyncGenerator[Client]:
    command = looktwice("mcp", *words)
    async with Client(StdioServerParameters(command=command[0], args=command[1:]), read_timeout_seconds=PATIENCE) as it:
        yield it


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    words = looktwice("mcp", "--http", "0", "--db", str(tmp_path_factory.mktemp("http") / "chat.db"))
    with subprocess.Popen(words, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stderr is not None
            told = next(line for line in process.stderr if "/mcp" in line)
            yield told.split()[1]
        finally:
            process.terminate()


def text(result: Any) -> str:
    return "\n".join(block.text for block in result.content if block.type == "text")


async def session(client: Client, picture: str) -> None:
    """What a client does: a picture in, a question, a closer look, the resource, a search."""
    tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert sorted(tools) == ["add_picture", "ask", "ocr", "search", "zoom"]
    assert tools["search"].annotations is not None and tools["search"].annotations.read_only_hint
    added = await client.call_tool("add_picture", {"picture": picture, "name": "wall", "chat": "my walk"})
    assert added.structured_content == {
        "chat": "my walk", "name": "wall", "width": 320, "height": 320, "resource": "looktwice://my%20walk/wall",
    }  # fmt: skip
    asked = {"question": "What colour is the circle in @wall?", "chat": "my walk"}
    answer = await client.call_tool("ask", asked)
    assert answer.structured_content is not None
    assert (answer.structured_content["answer"], answer.structured_content["finish"]) == ("red", "stop")
    zoomed = await client.call_tool("zoom", {"image": "wall", "box": [0, 0, 500, 500], "chat": "my walk"})
    assert [block.type for block in zoomed.content] == ["text", "image"]
    assert text(zoomed) == "my walk/wall.zoom1"
    listed = {str(resource.uri) for resource in (await client.list_resources()).resources}
    assert listed == {"looktwice://my%20walk/wall", "looktwice://my%20walk/wall.zoom1"}
    read = (await client.read_resource("looktwice://my%20walk/wall")).contents[0]
    shown: Any = read
    assert Image.open(io.BytesIO(base64.b64decode(shown.blob))).size == (320, 320)
    found = await client.call_tool("search", {"words": "colour circle"})
    assert '"chat":"my walk"' in text(found).replace(" ", "").replace("mywalk", "my walk")


async def test_a_client_over_stdio_asks_about_files_and_nothing_outside_of_the_root(tmp_path: Path) -> None:
    root = tmp_path / "open"
    root.mkdir()
    RED.save(root / "red.png")
    RED.save(tmp_path / "secret.png")
    (root / "link.png").symlink_to(tmp_path / "secret.png")
    async with over_stdio("--db", str(tmp_path / "chat.db"), "--root", str(root)) as client:
        await session(client, "red.png")
        for path in ("../secret.png", str(tmp_path / "secret.png"), "link.png", "/etc/passwd", "~/x.png"):
            refused = await client.call_tool("add_picture", {"picture": path, "chat": "my walk"})
            assert refused.is_error
            assert "outside" in text(refused)
    with Memory(tmp_path / "chat.db") as memory:
        assert [picture.name for picture in memory.pictures.all("my walk")] == ["wall", "wall.zoom1"]


async def test_a_client_over_http_gives_data_urls_and_no_paths(url: str, tmp_path: Path) -> None:
    RED.save(tmp_path / "red.png")
    async with Client(url, read_timeout_seconds=PATIENCE) as client:
        await session(client, data_url(RED))
        for source in (str(tmp_path / "red.png"), "file:///etc/passwd", "https://example.org/a.png"):
            refused = await client.call_tool("add_picture", {"picture": source})
            assert refused.is_error
            assert "data URL" in text(refused)


async def test_what_goes_wrong_is_one_line_for_the_client(url: str) -> None:
    async with Client(url, read_timeout_seconds=PATIENCE) as client:
        wrong: list[tuple[str, dict[str, Any], str]] = [
            ("ask", {"question": "Hello?", "chat": "nobody"}, "no conversation named 'nobody'"),
            ("add_picture", {"picture": "data:image/png;base64,AAAA", "chat": "new"}, "picture"),
            ("search", {"words": "!"}, "no word in"),
        ]
        for tool, arguments, told in wrong:
            refused = await client.call_tool(tool, arguments)
            assert refused.is_error
            assert told in text(refused)
            assert "\n" not in text(refused)
        with pytest.raises(MCPError, match="no conversation"):
            await client.read_resource("looktwice://nobody/nothing")


@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example"}, {"Host": "evil.example:80"}, {"Origin": "https://evil.example"}]
)
def test_foreign_hosts_and_pages_are_refused(url: str, headers: dict[str, str]) -> None:
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    accepted = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
    with httpx.Client(timeout=PATIENCE, trust_env=False) as client:
        assert client.post(url, json=body, headers={**accepted, **headers}).status_code in (403, 421)


def test_a_servers_tools_are_our_agents_and_those_that_act_wait_for_an_approval(script: Path) -> None:
    call = '<tool_call>{"name":"%s","arguments":%s}</tool_call>'
    lines = [
        call % ("weigh", '{"what":"it"}'),
        "3 kg.",
        call % ("paint", '{"colour":"red"}'),
        "Painted.",
    ]
    with mcp_tools([sys.executable, str(script)]) as theirs:
        assert [(tool.name, tool.acts) for tool in theirs] == [
            ("weigh", False), ("paint", True), ("the_picture", False), ("fail", False),
        ]  # fmt: skip
        with Agent(ScriptedBackend(lines), memory=":memory:", tools=["zoom", theirs]) as agent:
            chat = agent.chat()
            answer = chat.ask("How heavy is it?")
            assert (answer.text, answer.looks[0].text) == ("3 kg.", "it weighs 3 kg")
            assert chat.ask("Paint it.").finish == "paused"
            assert not (script.parent / "painted").exists()
            approval = agent.memory.approvals.pending()[0]
            assert chat.decide(approval.id, True).text == "Painted."
            assert (script.parent / "painted").read_text() == "red"


def test_pictures_and_failures_of_a_servers_tools_come_as_ours_do(script: Path) -> None:
    lines = ['<tool_call>{"name":"the_picture","arguments":{}}</tool_call>', "Seen.",
             '<tool_call>{"name":"fail","arguments":{}}</tool_call>', "It failed.",
             '<tool_call>{"name":"weigh","arguments":{"wrong":1}}</tool_call>', "No."]  # fmt: skip
    with (
        mcp_tools(f"{sys.executable} {script}") as theirs,
        Agent(ScriptedBackend(lines), memory=":memory:", tools=[theirs]) as agent,
    ):
        chat = agent.chat()
        look = chat.ask("Show me.").looks[0]
        assert (look.images, [p.width for p in chat.images]) == (("the_picture1",), [30])
        failed = chat.ask("Fail.").looks[0]
        assert failed.error
        assert "secret" not in failed.text
        assert chat.ask("Weigh.").looks[0].error


@pytest.mark.parametrize("server", ["no-such-program-here", f"{sys.executable} -c pass", "http://127.0.0.1:9/mcp"])
def test_where_no_server_is_the_person_is_told_in_one_line(server: str) -> None:
    with pytest.raises(InvalidInput, match="no MCP server answers at") as caught:
        mcp_tools(server)
    assert "\n" not in str(caught.value)


def test_sources_read_what_lies_below_a_root_alone(tmp_path: Path) -> None:
    RED.save(tmp_path / "red.png")
    assert Sources([tmp_path]).picture("red.png").width == 320
    assert Sources().picture(data_url(RED)).width == 320
    with pytest.raises(InvalidInput, match="no file is read here"):
        Sources().picture(str(tmp_path / "red.png"))
    with pytest.raises(InvalidInput, match="nothing is fetched"):
        Sources([tmp_path]).picture("http://127.0.0.1/red.png")
    with pytest.raises(PictureRejected):
        Sources([tmp_path]).picture("missing.png")
    with pytest.raises(InvalidInput, match="no folder"):
        Sources([tmp_path / "red.png"])


def test_the_command_takes_a_servers_tools_and_ends_the_server(script: Path, tmp_path: Path) -> None:
    server = shlex.join([sys.executable, str(script)])
    with standing_in(answers=[{"name": "weigh", "arguments": '{"what": "it"}'}, "3 kg"]) as stand:
        words = ["ask", "How heavy?", "--mcp", server, "--model", "openai:llava", "--base-url", stand.url]
        ran = subprocess.run(
            looktwice(*words, "--db", str(tmp_path / "chat.db")),
            capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120, check=False,
        )  # fmt: skip
    assert (ran.returncode, ran.stdout.split()) == (0, ["3", "kg"]), ran.stderr
    assert "noise" not in ran.stderr
    assert [tool["function"]["name"] for tool in stand.bodies[0]["tools"]] == ["weigh", "paint", "the_picture", "fail"]
    assert stand.bodies[1]["messages"][-1]["content"] == "it weighs 3 kg"
