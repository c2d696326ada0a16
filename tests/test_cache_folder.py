"""A folder that keeps what was computed: the next process goes on from there, and nothing in it changes an answer."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import checkpoints
import pytest
import torch
from conversations import Album, Talk, answer
from shell import run

from looktwice import Agent
from looktwice.agent.backends import Done, open_backend
from looktwice.agent.backends.llava import LlavaBackend
from looktwice.agent.backends.reuse import sealed
from looktwice.agent.backends.reuse.folder import CacheFolder
from looktwice.agent.backends.reuse.identity import files_hash
from looktwice.agent.backends.reuse.stored import BLOCK, Stored
from looktwice.errors import InvalidInput, StoreError

MODEL = "mistral"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def opened(folder: Path | None, model: str | Path | None = None, **options: Any) -> LlavaBackend:
    source = str(model or checkpoints.saved(MODEL, tile=112))
    return open_backend(source, device="cpu", cache=folder, **options)


def two_pictures() -> tuple[Album, Talk]:
    """About 600 positions."""
    import random

    rng, album, talk = random.Random(5), Album(), Talk()
    talk.messages += _shown(album.add(rng), album, "What is shown?")
    talk.messages += _shown(album.add(rng), album, "And here?")
    return album, talk


def _shown(key: str, album: Album, question: str) -> list[Any]:
    talk = Talk()
    talk.show(key, album, question)
    return talk.messages


def told(folder: Path | None, model: str | Path | None = None, **options: Any) -> Done:
    """The answer of a new backend, as of a new process."""
    backend = opened(folder, model, **options)
    album, talk = two_pictures()
    done = answer(backend, talk.prompt(), album, max_new_tokens=4)
    backend.close()
    return done


def files(folder: Path, kind: str = "*") -> list[Path]:
    return sorted(folder.glob(f"*/{kind}/*/*.safetensors"))


def flip(file: Path, place: int) -> None:
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)


# --- what lasts


def test_a_new_process_goes_on_where_the_last_one_ended(folder: Path) -> None:
    first = told(folder)
    again = told(folder)
    assert (first.usage.reused, again.usage.new, again.ids) == (0, 1, first.ids)
    script = f"""
import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})
import test_cache_folder as tests
print(tests.told({str(folder)!r}, {str(checkpoints.saved(MODEL, tile=112))!r}).usage.new)
"""
    other = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert other.stdout.split()[-1] == "1"


def test_without_the_option_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    told(None)
    assert list(tmp_path.rglob("*")) == []


def test_a_fork_shares_what_it_has_in_common_and_an_answer_adds_its_own_part(folder: Path) -> None:
    backend = opened(folder)
    album, talk = two_pictures()
    talk.answered(answer(backend, talk.prompt(), album, max_new_tokens=4))
    backend.close()
    whole = files(folder, "prefixes")
    assert [int(file.stem.split("-")[-1]) for file in whole].count(BLOCK) == len(whole) - 1 >= 2
    fork = Talk(list(talk.messages))
    for branch, question in ((talk, "The total on the bill?"), (fork, "Compare with the tax.")):
        branch.ask(question)
        assert answer(backend, branch.prompt(), album, max_new_tokens=4).usage.reused > 2 * BLOCK
        backend.close()
    now = files(folder, "prefixes")
    assert set(whole[:-1]) & set(now)
    # one more block for each branch; the short one that both contain is gone
    assert len(now) == len(whole) + 1


def test_pictures_are_not_encoded_again(folder: Path) -> None:
    told(folder)
    for file in files(folder, "prefixes"):
        file.unlink()
    album, talk = two_pictures()
    backend, asked_for = opened(folder), list[str]()

    def pixels(key: str) -> Any:
        asked_for.append(key)
        return album.images[key]

    from looktwice.agent.backends import Settings

    list(backend.generate(talk.prompt(), Settings(max_new_tokens=1), pixels=pixels))
    assert asked_for == []
    assert len(files(folder, "features")) == 2


def test_no_cut_falls_inside_a_picture(folder: Path) -> None:
    """Where a block is missing in the middle of a picture, the picture is computed as a whole."""
    first = told(folder)
    backend = opened(None)
    _, talk = two_pictures()
    spans = [(start, count) for start, _, count in backend.checkpoint.encoder.encode(talk.prompt()).pictures]
    by_time = sorted(files(folder, "prefixes"), key=lambda file: -file.stat().st_mtime_ns)
    by_time[1].unlink()
    again = told(folder)
    assert again.ids == first.ids
    assert not any(start < again.usage.reused < start + count for start, count in spans)
    assert 0 < again.usage.reused <= BLOCK


def test_only_the_owner_may_read_it(folder: Path) -> None:
    told(folder)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*") if path.is_file()}
    assert modes == {0o600}
    assert {stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.rglob("*")) if path.is_dir()} == {0o700}


def test_no_answer_waits_for_the_disk(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The words come while nothing can be written yet; closing waits until all is there."""
    may_write, write = threading.Event(), sealed.write

    def slow(*given: Any) -> int:
        assert may_write.wait(20)
        return write(*given)

    monkeypatch.setattr(sealed, "write", slow)
    backend = opened(folder)
    album, talk = two_pictures()
    assert answer(backend, talk.prompt(), album, max_new_tokens=4).usage.output
    assert files(folder) == []
    may_write.set()
    backend.close()
    assert len(files(folder, "prefixes")) >= 3


# --- what can't be used


@pytest.mark.parametrize("place", [0, 3, 12, 200, -1, -4000])
def test_a_damaged_file_is_said_once_removed_and_computed_again(
    folder: Path, place: int, caplog: pytest.LogCaptureFixture
) -> None:
    first = told(folder)
    victim = max(files(folder, "prefixes"), key=lambda file: file.stat().st_mtime_ns)
    flip(victim, place)
    again = told(folder)
    assert (again.ids, again.usage.reused) == (first.ids, 0)
    assert [record.getMessage() for record in caplog.records] == [
        f"the cache file {str(victim)!r} is damaged; it is not used"
    ]
    caplog.clear()
    assert told(folder).usage.new == 1
    assert caplog.records == []


@pytest.mark.parametrize("length", [0, 4, 100, 3000])
def test_a_file_that_was_cut_is_computed_again(folder: Path, length: int, caplog: pytest.LogCaptureFixture) -> None:
    first = told(folder)
    for file in files(folder):
        os.truncate(file, length)
    again = told(folder)
    assert (again.ids, again.usage.reused) == (first.ids, 0)
    assert all("is damaged; it is not used" in record.getMessage() for record in caplog.records)


def test_another_checkpoint_never_gets_it(folder: Path, tmp_path: Path) -> None:
    """The same tokens, the same shapes, one weight more or less: another subfolder, another answer."""
    told(folder)
    other = tmp_path / "other"
    shutil.copytree(checkpoints.saved(MODEL, tile=112, seed=1), other)
    assert told(folder, other).usage.reused == 0
    assert told(folder, other).usage.new == 1
    shutil.copytree(other, tmp_path / "renamed")
    assert told(folder, tmp_path / "renamed").usage.new == 1
    assert told(folder, other, dtype="float64").usage.reused == 0
    assert len({file.parts[-4] for file in files(folder)}) == 3


def test_a_file_put_into_another_checkpoints_folder_is_refused(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    told(folder)
    (mine,) = {file.parents[2] for file in files(folder)}
    other = checkpoints.saved(MODEL, tile=112, seed=1)
    told(folder, other)
    (theirs,) = {file.parents[2] for file in files(folder)} - {mine}
    shutil.rmtree(theirs)
    shutil.copytree(mine, theirs)
    alone = told(None, other)
    assert told(folder, other).ids == alone.ids
    assert any("is another one's; it is not used" in record.getMessage() for record in caplog.records)


def test_a_changed_weight_is_seen_in_a_file_too_large_to_be_read_whole(tmp_path: Path) -> None:
    import safetensors.torch

    library: Any = safetensors.torch
    weights = {f"layer{number}": torch.zeros(300_000 + number) for number in range(20)}
    library.save_file(weights, tmp_path / "model.safetensors")
    assert (tmp_path / "model.safetensors").stat().st_size > 16 << 20
    before = files_hash(tmp_path)
    weights["layer7"] += 0.01
    library.save_file(weights, tmp_path / "model.safetensors")
    assert files_hash(tmp_path) != before
    weights["layer7"] -= 0.01
    library.save_file({**weights, "layer7": torch.zeros(300_007)}, tmp_path / "model.safetensors")
    assert files_hash(tmp_path) == before


@pytest.mark.parametrize("problem", ["a file", "in a file", "read-only", "full"])
def test_a_folder_that_cannot_be_used_is_one_line_and_answers_go_on(
    problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    place, reason = tmp_path / "cache", "Not a directory"
    if problem == "a file":
        place.write_text("mine")
        reason = "File exists"
    elif problem == "in a file":
        (tmp_path / "file").write_text("mine")
        place = tmp_path / "file" / "cache"
    else:
        code = errno.EROFS if problem == "read-only" else errno.ENOSPC
        reason = os.strerror(code)

        def refuse(*given: Any) -> int:
            raise OSError(code, reason)

        monkeypatch.setattr(sealed, "_put", refuse)
    backend, plain = opened(place), told(None)
    album, talk = two_pictures()
    for _ in range(2):
        assert answer(backend, talk.prompt(), album, max_new_tokens=4).ids == plain.ids
    backend.close()
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == [
        f"the cache folder {str(place)!r} can't be used ({reason}); answers go on without it"
    ]
    assert [path for path in tmp_path.rglob("*") if path.name.startswith(sealed.TEMPORARY)] == []


def test_what_fails_in_the_middle_of_a_write_leaves_no_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(source: Any, target: Any) -> None:
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", refuse)
        told(folder)
    assert [path for path in folder.rglob("*") if path.is_file() and path.name != "about.json"] == []
    told(folder)
    assert told(folder).usage.new == 1


# --- limits, several processes


def test_what_was_used_longest_ago_is_deleted_over_the_limit(folder: Path) -> None:
    place = CacheFolder(folder, 10_000)
    stored = Stored(place, "checkpoint", {"model": "m"})
    for number in range(10):
        if number == 6:
            assert stored.feature("0") is not None
        stored.save_feature(str(number), torch.zeros(250))  # about 1.2 kB each
        for file in files(folder):  # time goes on
            os.utime(file, ns=(file.stat().st_atime_ns, file.stat().st_mtime_ns - 1_000_000_000))
    there = [number for number in range(10) if stored.feature(str(number)) is not None]
    assert 0 in there
    assert there[1:] == list(range(there[1], 10))
    assert 1 not in there
    assert sum(file.stat().st_size for file in files(folder)) <= 10_000


def test_a_limit_that_makes_no_sense_is_one_line(folder: Path) -> None:
    with pytest.raises(InvalidInput, match="cache_bytes 0 can't be used; give at least 1"):
        opened(folder, cache_bytes=0)
    with pytest.raises(InvalidInput, match="ram_bytes -1 can't be used; give 0 or more"):
        LlavaBackend(opened(None).checkpoint, device="cpu", ram_bytes=-1)


def test_several_backends_at_once_share_a_folder(folder: Path) -> None:
    """Each writes, reads and deletes as it likes; the answers are those of one alone."""
    plain, wrong = told(None), list[object]()

    def ask() -> None:
        for _ in range(3):
            done = told(folder, cache_bytes=300_000)
            if done.ids != plain.ids:
                wrong.append(done)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert CacheFolder(folder).verify()[1] == []


# --- giving it back


def test_forgetting_a_picture_removes_what_was_computed_from_it_and_after_it(folder: Path) -> None:
    backend = opened(folder)
    album, talk = two_pictures()
    answer(backend, talk.prompt(), album, max_new_tokens=4)
    alone = Talk(_shown("picture 0", album, "Only this one?"))
    answer(backend, alone.prompt(), album, max_new_tokens=4)
    second = talk.pictures[1]
    backend.forget([second])
    backend.close()
    assert len(files(folder, "features")) == 1
    assert answer(backend, alone.prompt(), album, max_new_tokens=4).usage.new == 1
    encoded = backend.checkpoint.encoder.encode(talk.prompt())
    backend.close()
    reused = answer(backend, talk.prompt(), album, max_new_tokens=4).usage.reused
    assert 0 < reused <= encoded.pictures[1][0]
    backend.forget(talk.pictures)
    assert files(folder) == []


def test_the_command_lists_checks_and_clears(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOOKTWICE_CACHE", raising=False)
    told(folder)
    count = len(files(folder))
    (folder / "mine.txt").write_text("not looktwice's")
    listed = run(f"looktwice cache {folder}")
    assert listed.status == 0
    assert "float32 cpu" in listed.stdout
    assert f"\n{count} files, " in listed.stdout
    monkeypatch.setenv("LOOKTWICE_CACHE", str(folder))
    assert (run("looktwice cache --verify").status, run("looktwice cache --verify").stdout) == (
        0,
        f"{count} files, 0 damaged\n",
    )
    victim = files(folder)[0]
    flip(victim, -1)
    checked = run("looktwice cache --verify")
    assert (checked.status, checked.stdout) == (1, f"damaged: {victim}\n{count} files, 1 damaged\n")
    assert run("looktwice cache --verify --clear").status == 2
    assert run("looktwice cache --clear").stdout == f"deleted: {count} files\n"
    assert [path.name for path in folder.rglob("*")] == ["mine.txt"]
    nowhere = run(f"looktwice cache {tmp_path / 'nowhere'}")
    assert nowhere.status == 1
    assert nowhere.stderr.startswith("error: no cache folder at ")


def test_an_agent_goes_on_in_a_new_process_and_forgets_when_told(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import scenes

    file = str(tmp_path / "a.db")
    with Agent("pocket", memory=file, device="cpu", cache=folder) as agent:
        chat = agent.chat("a")
        chat.add(scenes.scene(("red", "circle", "top left")), "a")
        first = chat.ask("What colour is the circle in @a?")
    with Agent("pocket", memory=file, device="cpu", cache=folder) as agent:
        second = agent.chat("a").ask("Where is the circle in @a?")
    assert (first.usage.reused, second.usage.reused) == (0, first.usage.prompt + first.usage.output)
    monkeypatch.delenv("LOOKTWICE_CACHE", raising=False)
    assert run(f"looktwice fork --chat a --name b --db {file}").status == 0
    assert run(f"looktwice forget a --chat a --db {file}").status == 0
    monkeypatch.setenv("LOOKTWICE_CACHE", str(folder))
    assert run(f"looktwice delete a --yes --db {file}").status == 0
    assert files(folder) != []  # the fork has the picture still
    assert run(f"looktwice forget a --chat b --db {file} --cache ''").status == 0
    assert files(folder) != []  # forgotten without its cache folder
    assert "forgotten already" in run(f"looktwice forget a --chat b --db {file}").stderr
    assert files(folder) == []


def test_deleting_a_conversation_removes_what_was_computed_from_its_pictures(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import scenes

    file = str(tmp_path / "a.db")
    with Agent("pocket", memory=file, device="cpu", cache=folder) as agent:
        chat = agent.chat("a")
        chat.add(scenes.scene(("red", "circle", "top left")), "a")
        chat.ask("What colour is the circle in @a?")
    assert files(folder) != []
    monkeypatch.setenv("LOOKTWICE_CACHE", str(folder))
    assert run(f"looktwice delete a --yes --db {file}").status == 0
    assert files(folder) == []


def test_a_file_says_what_it_is_about_without_torch_and_where_it_is_damaged(tmp_path: Path) -> None:
    file = tmp_path / "a.safetensors"
    for tensor in (torch.arange(6).reshape(2, 3).float(), torch.ones(4, dtype=torch.bfloat16)):
        sealed.write(file, tensor, {"picture": "ü"})
        assert sealed.about(file) == {
            "picture": "ü",
            "shape": list(tensor.shape),
            "dtype": str(tensor.dtype),
        }
        sealed.verify(file)
        assert torch.equal(sealed.read(file)[1], tensor)
    size = file.stat().st_size
    for place in range(size):
        flip(file, place)
        with pytest.raises(StoreError, match="is damaged; it is not used"):
            sealed.read(file)
        flip(file, place)
    sealed.verify(file)
