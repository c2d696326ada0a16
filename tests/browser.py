"""A real browser for the pages that looktwice makes: headless Chromium, and axe-core's findings in a page.

with open_page(tmp_path / "report.html") as page:
    assert violations(page) == []
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Page, expect, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
_PATIENCE = 60_000.0  # milliseconds; a busy machine is slow
expect.set_options(timeout=_PATIENCE)
_OURS_ALONE = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"  # nothing leaves here
_AXE = "axe.run(document, {resultTypes: ['violations']}).then(found => found.violations)"


@contextmanager
def open_page(
    where: str | Path = "about:blank", *, width: int = 1000, height: int = 800, scripts: bool = True
) -> Generator[Page]:
    """A page of headless Chromium at a file or an address (of this machine; there is no other).

    ``scripts`` says whether pages may run any. Skips the test where Chromium is not installed.
    """
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is missing: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", _OURS_ALONE], timeout=_PATIENCE
        )
        try:
            page = browser.new_page(viewport={"width": width, "height": height}, java_script_enabled=scripts)
            page.set_default_timeout(_PATIENCE)
            page.goto(where.absolute().as_uri() if isinstance(where, Path) else where)
            yield page
        finally:
            browser.close()


def violations(page: Page, schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")) -> list[str]:
    """What axe-core finds wrong in a page, in light and in dark colours: "dark: color-contrast at td.good: ...".

    All rules that axe runs by default, its best practices too.
    """
    axe = files("axe_core_python").joinpath("axe.min.js").read_text(encoding="utf-8")
    page.evaluate(f"{axe};0")
    found: list[str] = []
    for scheme in schemes:
        page.emulate_media(color_scheme=scheme)
        for rule in page.evaluate(_AXE):
            found += [f"{scheme}: {rule['id']} at {_place(node)}: {rule['help']}" for node in rule["nodes"]]
    return found


def _place(node: dict[str, Any]) -> str:
    return " ".join(str(step) for step in node["target"])
