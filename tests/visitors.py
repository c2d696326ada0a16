"""Visitors of the page without a browser: they keep cookies, and send forms as a browser does."""

from __future__ import annotations

import html
import io
import re
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode

import httpx
from PIL import Image
from serving import PATIENCE

VOID = frozenset({"img", "input", "link", "meta"})


class Tags(HTMLParser):
    """Every start tag with its attributes; tags have to be closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@dataclass
class Visitor:
    """A browser without a screen."""

    url: str
    token: str = ""

    def __post_init__(self) -> None:
        auth = ("any", self.token) if self.token else None
        self.client = httpx.Client(base_url=self.url, timeout=PATIENCE, auth=auth)

    def __enter__(self) -> Visitor:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def get(self, path: str, **query: str) -> httpx.Response:
        return self.client.get(address(path, query))

    def code(self) -> str:
        """What forms carry."""
        return re.findall(r'name="code" value="([0-9a-f]+)"', self.get("/").text)[0]

    def send(
        self, path: str, fields: dict[str, str] | None = None, files: Any = (), code: str | None = None, **query: str
    ) -> httpx.Response:
        """What comes back for a form; redirects are not followed."""
        sent = {"code": self.code() if code is None else code, **(fields or {})}
        parts: list[Any] = [(name, (None, value)) for name, value in sent.items()]
        return self.client.post(address(path, query), files=[*parts, *files])

    def begin(self, name: str) -> None:
        assert self.send("/new", {"new": name}).status_code == 303

    def ask(self, name: str, question: str, *files: Any, **fields: str) -> httpx.Response:
        return self.send("/chat/ask", {"question": question, **fields}, files, name=name)


def address(path: str, query: dict[str, str]) -> str:
    return f"{path}?{urlencode(query)}" if query else path


def upload(image: Image.Image | bytes, file: str = "picture.png") -> Any:
    """A file in the form's field for pictures."""
    data = image
    if isinstance(image, Image.Image):
        buffer = io.BytesIO()
        image.save(buffer, "PNG")
        data = buffer.getvalue()
    return ("pictures", (file, data, "image/png"))


def problem(response: httpx.Response) -> str:
    """The one line that a page says went wrong."""
    found = re.findall(r'id="problem-text">(.*?)</div>', response.text)[0]
    return html.unescape(re.sub(r"<[^>]*>", "", found))
