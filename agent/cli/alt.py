"""``looktwice alt``: alternative texts of documents, from the check to the written file."""

from __future__ import annotations

import importlib.util
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import click

from ...errors import InvalidInput
from ..words import words
from . import options
from .output import NOT_TEXT, Lines, answers, is_plain, printable, say, say_json

if TYPE_CHECKING:
    from ..access.alt import Entry, Fault, Prompts
    from ..access.documents import Document

_root = click.option("--root", metavar="DIR", help="Pictures may lie anywhere in DIR; a leading / stands for it.")


class SuggestOptions(options.ModelOptions):
    """Everything that ``alt suggest`` takes beside the document."""

    out: str | None
    everything: bool
    no_text: bool
    prompts: str | None
    root: str | None
    lang: str
    plain: bool


@click.group(short_help="Check, suggest, review and write alternative texts of documents.")
def alt() -> None:
    """Alternative texts for the pictures of HTML, Markdown, EPUB and DOCX.

    check finds what is missing; suggest writes a file of suggestions; review goes through them with you (or edit the
    file); apply writes what you accepted into the document, and nothing else.
    """


@alt.command(short_help="Say where alternative texts are missing or wrong.")
@click.argument("paths", nargs=-1, required=True, metavar="DOC...")
@click.option("--github", is_flag=True, help="Print annotations for GitHub Actions.")
@options.lang
@options.json
def check(paths: tuple[str, ...], github: bool, lang: str, as_json: bool) -> None:
    """Say where alternative texts of each DOC (a file, or a folder with documents) are missing or wrong.

    Missing; the name of a file; words that say nothing, as "image of"; over 125 characters; the same as the caption; a
    link without any text. No picture is looked at, and no model asked.

    Exit status: 0 all is well, 1 something was found, or a document can't be read.
    """
    from ..access.alt import check_alternatives, documents_in

    found: dict[str, tuple[Fault, ...]] = {}
    lines, failed = Lines(), False
    for path in documents_in(paths):
        try:
            found[str(path)] = check_alternatives(path, lang=lang)
        except InvalidInput as error:
            failed = True
            lines.tell("error", str(error))
    _say_faults(found, github=github, as_json=as_json)
    number, speak = sum(map(len, found.values())), words(lang)
    documents = speak.count("{n} document", "{n} documents", len(found))
    lines.tell("status", f"{documents}, {speak.count('{n} fault', '{n} faults', number)}")
    sys.exit(1 if failed or number else 0)


@alt.command(short_help="Write suggestions for a document's pictures into a file.")
@click.argument("document", metavar="DOC")
@click.option("-o", "--out", metavar="FILE", help="The file of suggestions; else DOC.alt.txt.")
@click.option("--all", "everything", is_flag=True, help="Also for pictures whose text is well, or empty on purpose.")
@click.option("--no-text", is_flag=True, help="Don't read the text in pictures; nothing is checked against it.")
@click.option("--prompts", metavar="FILE", help="A TOML file with questions to the model in place of ours.")
@_root
@options.lang
@options.model_options
@options.plain
def suggest(document: str, **given: Unpack[SuggestOptions]) -> None:
    """Suggest an alternative text for each picture of DOC that has none, or a faulty one; DOC stays as it is.

    Pictures are read from DOC's folder or from the file itself; remote ones, drawings and broken ones become questions.

    Exit status: 0 done, 1 refused or failed, 130 interrupted, with nothing written.
    """
    from ..access.alt import Prompts, check_alternatives, open_document, write_suggestions

    out = given["out"] or f"{document}.alt.txt"
    if Path(out).exists():
        raise InvalidInput(
            f"{out!r} exists already; go on with: looktwice alt review {out!r}, or choose another with -o"
        )
    lines, speak = Lines(is_plain(given["plain"])), words(given["lang"])
    opened = open_document(document, root=given["root"])
    prompts = Prompts.read(given["prompts"]) if given["prompts"] else Prompts()
    if not given["no_text"] and not importlib.util.find_spec("rapidocr"):
        lines.tell("status", speak("text is not looked at; to get that: pip install 'looktwice[ocr]'"))
        given["no_text"] = True
    entries, model, note = _suggested(opened, prompts, given, lines)
    for fault in check_alternatives(opened, lang=given["lang"]):
        if fault.place.problem:
            where, why = fault.place.where, speak(fault.place.problem)
            lines.tell("status", speak("no suggestion for {where}: {why}", where=where, why=why))
    for entry in entries:
        if entry.branch == "unseen":
            lines.tell("status", speak("not looked at, {where}: {why}", where=entry.where, why=entry.why))
    if not entries:
        lines.tell("status", speak("{document} needs no alternative text", document=document))
        return
    write_suggestions(out, opened, entries, model=model, note=note, lang=given["lang"])
    say(out)
    count = speak.count("{n} suggestion", "{n} suggestions", len(entries))
    lines.tell("status", f"{count}: looktwice alt review {out}")


@alt.command(short_help="Go through suggestions: accept, edit, skip.")
@click.argument("file", metavar="FILE")
@click.option("--lang", metavar="LANG", help="What looktwice itself says in; else what the suggestions are in.")
def review(file: str, lang: str | None) -> None:
    """Go through the suggestions in FILE, line by line, with commands of one letter; ? lists them.

    Each decision is kept at once: end and go on at any time. Or edit FILE itself.
    """
    from ..access.alt import Review, ReviewFile

    lines = Lines()
    read = ReviewFile.read(file)
    lang = lang or read.head.get("lang", "en")
    reviewed, speak = Review(read, _ask, lambda label, text: _tell(lines, label, text), lang), words(lang)
    try:
        reviewed.run()
    except KeyboardInterrupt:
        click.echo(err=True)
        lines.tell("status", f"{speak('stopped; everything decided is kept')}: looktwice alt review {file}")
        sys.exit(130)
    lines.tell("status", f"{speak('what is accepted is written by')}: looktwice alt apply {file}")


@alt.command(short_help="Write accepted suggestions into the document.")
@click.argument("file", metavar="FILE")
@click.option("--document", metavar="DOC", help="The document, if it was moved.")
@click.option("--replace", metavar="NUMBERS", help="Pictures whose present text may be replaced, as in 2,5; or all.")
@_root
def apply(file: str, document: str | None, replace: str | None, root: str | None) -> None:
    """Write the suggestions in FILE that were accepted into their document; nothing else in it changes.

    The document as it was is kept beside it as .bak. A text that is there, also an empty one, stays unless named.

    Exit status: 0 done, 1 refused with nothing written, or some texts stayed because --replace doesn't name them.
    """
    from ..access.alt import ReviewFile
    from ..access.alt import apply as applied

    read, lines = ReviewFile.read(file), Lines()
    speak = words(read.head.get("lang", "en"))
    numbers = _numbers(replace, [entry.number for entry in read.entries])
    done = applied(file, document=document, root=root, replace=numbers)
    for number, text in done.kept_back:
        if text:
            stays = speak("picture {number} has the text {text} and was left so", number=number, text=repr(text))
        else:
            stays = speak("picture {number} is marked as decorative and was left so", number=number)
        lines.tell("status", f"{stays}; --replace {number}")
    if done.already:
        lines.tell("status", speak("there already: {numbers}", numbers=", ".join(map(str, done.already))))
    if done.backup is not None:
        say(str(done.document))
        count = speak.count("{n} text was written", "{n} texts were written", len(done.written))
        lines.tell("status", f"{count}; {speak('as it was: {backup}', backup=done.backup)}")
    elif not done.kept_back:
        lines.tell("status", speak("nothing to write: no suggestion is accepted that isn't there"))
    sys.exit(1 if done.kept_back else 0)


def _say_faults(found: dict[str, tuple[Fault, ...]], *, github: bool, as_json: bool) -> None:
    if as_json:
        say_json([{"document": path, "faults": [fault.to_json() for fault in each]} for path, each in found.items()])
        return
    for path, faults in found.items():
        for fault in faults:
            say(_annotation(path, fault) if github else f"{_place(path, fault)}: {fault.kind}: {_line(fault.said)}")


def _place(path: str, fault: Fault) -> str:
    """Where a fault is, as editors and people read it."""
    where = fault.place.where
    member = f":{where.member}" if where.member else ""
    return f"{path}{member}:{where.line}" if where.unit == "line" else f"{path}{member}: paragraph {where.line}"


def _annotation(path: str, fault: Fault) -> str:
    """A fault as GitHub Actions take it: https://docs.github.com/actions/reference/workflow-commands."""
    where = fault.place.where
    is_line = where.unit == "line" and not where.member
    line = f",line={where.line}" if is_line else ""
    said = fault.said if is_line else f"{where}: {fault.said}"
    title = _property(f"alternative text: {fault.kind}")
    return f"::warning file={_property(path)}{line},title={title}::{_message(_line(said))}"


def _message(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")


def _line(text: str) -> str:
    return " ".join(text.split())


def _suggested(opened: Document, prompts: Prompts, given: SuggestOptions, lines: Lines) -> tuple[list[Entry], str, str]:
    """The suggestions, the model that made them, and what it says of itself."""
    from ..access.alt import suggest as suggested
    from ..agent import Agent
    from .follow import LOADING, Progress

    speak = words(given["lang"])
    try:
        with Progress(lines, LOADING) as progress:

            def on_progress(number: int, count: int, name: str) -> None:
                progress.doing = speak("looking at pictures")
                lines.tell(
                    "status", speak("picture {number} of {count}: {name}", number=number, count=count, name=name)
                )

            with Agent(options.open_model(given), memory=":memory:") as agent:
                entries = suggested(
                    opened,
                    agent,
                    lang=given["lang"],
                    prompts=prompts,
                    read_text=not given["no_text"],
                    everything=given["everything"],
                    on_progress=on_progress,
                )
                return entries, agent.backend.model, agent.backend.note
    except KeyboardInterrupt:
        lines.tell("status", speak("stopped; nothing was written"))
        sys.exit(130)


def _ask(prompt: str) -> str | None:
    """A line of the keyboard or of a pipe; None at the end."""
    is_echoed = not sys.stdin.isatty()
    try:
        with redirect_stdout(answers()):  # where input() looks for the terminal
            line = input("" if is_echoed else prompt)
    except EOFError:
        return None
    except UnicodeDecodeError as error:
        raise InvalidInput(f"the input is not {sys.stdin.encoding.upper()}; {NOT_TEXT}") from error
    if is_echoed:
        say(f"{prompt}{line}")
    return line


def _tell(lines: Lines, label: str, text: str) -> None:
    """Errors to standard error; everything else is what this command is for."""
    if label == "error":
        lines.tell(label, text)
    else:
        say(f"{label}: {printable(_line(text))}")


def _numbers(given: str | None, known: list[int]) -> list[int]:
    if given is None:
        return []
    if given.strip() == "all":
        return known
    words = [word.strip() for word in given.split(",")]
    if not all(word.isdecimal() for word in words):
        raise click.UsageError(f"--replace {given!r} can't be read; write numbers of pictures, as in 2,5, or all")
    return [int(word) for word in words]
