"""``looktwice cache``: what a cache folder keeps."""

from __future__ import annotations

import sys
from collections.abc import Collection
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from ..words import later
from .output import Lines, say, say_json, say_table

if TYPE_CHECKING:
    from ..backends.reuse.folder import CacheFolder, Part

_HEADS = ("checkpoint", "model", "computed as", "files", "bytes", "last used")


@click.command(short_help="List, check or clear what a cache folder keeps.")
@click.argument("folder", metavar="DIR", envvar="LOOKTWICE_CACHE")
@click.option("--verify", is_flag=True, help="Read every file and compare it with its hash.")
@click.option("--clear", is_flag=True, help="Delete everything that looktwice wrote there.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def cache(folder: str, verify: bool, clear: bool, as_json: bool) -> None:
    """List by checkpoint what is kept in DIR (else LOOKTWICE_CACHE), the folder of --cache.

    It can all be computed again; none of it is needed. What is in there was computed from pictures and words, and says
    a lot about them: --clear deletes it.

    Exit status 1 if --verify found damage.
    """
    from ..backends.reuse.folder import CacheFolder

    if verify and clear:
        raise click.UsageError("give --verify or --clear, not both")
    opened = CacheFolder(folder)
    if clear:
        gone = opened.clear()
        say_json({"deleted": gone}) if as_json else say(f"deleted: {gone} files")
    elif verify:
        _verify(opened, as_json)
    else:
        _list(opened.parts(), as_json)


def uncache(folder: str | None, keys: Collection[str]) -> None:
    """Delete what a cache folder, if there is one, has of the pictures with these keys."""
    from ..backends.reuse.folder import CacheFolder

    opened = CacheFolder(folder) if folder else None
    if opened is not None and opened.path.is_dir():
        opened.forget(set(keys))


def _verify(opened: CacheFolder, as_json: bool) -> None:
    from .follow import Progress

    with Progress(Lines(), later("checking")):
        count, damaged = opened.verify()
    if as_json:
        say_json({"files": count, "damaged": [str(file) for file in damaged]})
    else:
        for file in damaged:
            say(f"damaged: {file}")
        say(f"{count} files, {len(damaged)} damaged")
    sys.exit(1 if damaged else 0)


def _list(parts: list[Part], as_json: bool) -> None:
    if as_json:
        say_json([asdict(part) for part in parts])
        return
    say_table([_row(part) for part in parts], heads=_HEADS)
    say(f"{sum(part.files for part in parts)} files, {sum(part.bytes for part in parts)} bytes")


def _row(part: Part) -> tuple[str, ...]:
    facts = part.facts
    way = " ".join(str(facts[key]) for key in ("dtype", "quantize", "device") if facts.get(key))
    used = datetime.fromtimestamp(part.used, UTC).strftime("%Y-%m-%d %H:%M")
    return (part.name[:12], str(facts.get("model", "unknown")), way, str(part.files), str(part.bytes), used)
