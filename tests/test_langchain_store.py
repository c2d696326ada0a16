"""The store of pictures: LangChain's own suites, replacing and deleting, reopening, and two processes at once."""

from __future__ import annotations

import io
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.stores import BaseStore, InvalidKeyException
from langchain_tests.integration_tests import BaseStoreAsyncTests, BaseStoreSyncTests
from scenes import scene

from looktwice.agent.langchain import PictureStore
from looktwice.memory import Memory


def encoded(colour: str, shape: str, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    scene((colour, shape, "top left"), size=(64, 64)).save(buffer, kind)
    return buffer.getvalue()


RED, BLUE, GREEN = encoded("red", "circle"), encoded("blue", "square", "JPEG"), encoded("green", "circle")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "pictures.db"


@pytest.fixture
def memory(path: Path) -> Iterator[Memory]:
    with Memory(path) as memory:
        yield memory


@pytest.fixture
def store(memory: Memory) -> PictureStore:
    return PictureStore(memory)


class TestSync(BaseStoreSyncTests[bytes]):
    @pytest.fixture
    def kv_store(self, memory: Memory) -> BaseStore[str, bytes]:
        return PictureStore(memory)

    @pytest.fixture
    def three_values(self) -> tuple[bytes, bytes, bytes]:
        return RED, BLUE, GREEN


class TestAsync(BaseStoreAsyncTests[bytes]):
    @pytest.fixture
    async def kv_store(self, memory: Memory) -> BaseStore[str, bytes]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return PictureStore(memory)

    @pytest.fixture
    def three_values(self) -> tuple[bytes, bytes, bytes]:
        return RED, BLUE, GREEN


def everything(store: PictureStore) -> dict[str, bytes | None]:
    keys = list(store.yield_keys())
    return dict(zip(keys, store.mget(keys), strict=True))


def test_what_is_kept_is_there_after_reopening(path: Path) -> None:
    with Memory(path) as memory:
        PictureStore(memory).mset([("bills/2024 #1.png", RED), ("", BLUE), ("Name", GREEN), ("name", RED)])
    with Memory(path) as memory:
        kept = {"bills/2024 #1.png": RED, "": BLUE, "Name": GREEN, "name": RED}
        assert everything(PictureStore(memory)) == kept
        assert memory.verify() == []


def test_equal_bytes_under_many_keys_are_kept_once(store: PictureStore, memory: Memory) -> None:
    store.mset([(f"key {number}", RED) for number in range(20)])
    assert len(memory.pictures.all("store")) == 1
    store.mdelete([f"key {number}" for number in range(19)])
    assert everything(store) == {"key 19": RED}


def test_the_bytes_go_with_the_last_key(store: PictureStore, memory: Memory) -> None:
    store.mset([("a", RED), ("b", RED)])
    (picture,) = memory.pictures.all("store")
    store.mdelete(["a"])
    assert memory.pictures.data(picture.key) == RED
    store.mset([("b", BLUE)])
    assert [(one.key, one.forgotten) for one in memory.pictures.all("store") if one.forgotten] == [(picture.key, True)]


def test_a_deleted_key_can_be_set_again_with_the_same_bytes(store: PictureStore, memory: Memory) -> None:
    for _ in range(3):
        store.mset([("bill", RED)])
        assert store.mget(["bill", "bill"]) == [RED, RED]
        store.mdelete(["bill", "bill"])
        assert store.mget(["bill"]) == [None]
    assert len(memory.turns.all("store")) == 1


def test_a_picture_forgotten_outside_of_the_store_is_gone_and_its_key_free(store: PictureStore, memory: Memory) -> None:
    store.mset([("bill", RED), ("door", BLUE)])
    name = next(p.name for p in memory.pictures.all("store") if memory.pictures.data(p.key) == RED)
    memory.pictures.forget("store", name)
    assert everything(store) == {"door": BLUE}
    store.mset([("bill", RED)])
    assert everything(store) == {"bill": RED, "door": BLUE}


def test_two_stores_of_one_file_are_apart_by_their_conversations(path: Path, memory: Memory) -> None:
    ours, theirs = PictureStore(path), PictureStore(memory, conversation="thumbnails")
    ours.mset([("bill", RED)])
    theirs.mset([("bill", BLUE)])
    assert (everything(ours), everything(theirs)) == ({"bill": RED}, {"bill": BLUE})


def test_what_others_say_in_the_conversation_is_no_key(store: PictureStore, memory: Memory) -> None:
    from looktwice.memory import TextPart, Turn

    memory.turns.append("store", Turn("user", (TextPart("what is kept here?"),)))
    store.mset([("bill", RED)])
    assert list(store.yield_keys()) == ["bill"]


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (b"", r"the value of 'bad' can't be kept: the given data is empty \(0 bytes\); give a picture file"),
        (b"hello", "the value of 'bad' can't be kept: the given data holds text, not a picture; give one of .*"),
        (RED[:100], "the value of 'bad' can't be kept: the given data is damaged or cut short .*"),
        ("/etc/hostname", "the value of 'bad' is str, not bytes; give the encoded bytes of a picture"),
        (None, "the value of 'bad' is NoneType, not bytes; give the encoded bytes of a picture"),
    ],
)
def test_a_value_that_is_no_picture_is_refused_and_nothing_is_set(store: PictureStore, value: bytes, why: str) -> None:
    store.mset([("door", RED)])
    with pytest.raises(ValueError, match=f"^{why}$"):
        store.mset([("door", BLUE), ("bad", value)])
    assert everything(store) == {"door": RED}


@pytest.mark.parametrize("key", [7, None, "half \ud800"])
def test_a_key_that_is_no_text_is_refused(store: PictureStore, key: str) -> None:
    with pytest.raises(InvalidKeyException, match="can't be a key; give a string of whole characters"):
        store.mset([(key, RED)])
    assert store.mget([key]) == [None]


def test_a_conversation_that_cannot_be_is_refused(memory: Memory) -> None:
    with pytest.raises(ValueError, match="can't name a conversation"):
        PictureStore(memory, conversation="")


KEYS = st.text(st.characters(codec="utf-8"), max_size=4)
STEPS = st.one_of(
    st.tuples(st.just("set"), st.lists(st.tuples(KEYS, st.sampled_from([RED, BLUE, GREEN])), max_size=3)),
    st.tuples(st.just("delete"), st.lists(st.tuples(KEYS, st.just(RED)), max_size=3)),
)


@settings(max_examples=25, deadline=None)
@given(steps=st.lists(STEPS, max_size=8))
def test_it_holds_what_a_dict_would_hold(steps: list[tuple[str, list[tuple[str, bytes]]]]) -> None:
    with tempfile.TemporaryDirectory() as folder, Memory(Path(folder) / "m.db") as memory:
        store, model = PictureStore(memory), dict[str, bytes | None]()
        for what, pairs in steps:
            if what == "set":
                store.mset(pairs)
                model.update(pairs)
            else:
                store.mdelete([key for key, _ in pairs])
                for key, _ in pairs:
                    model.pop(key, None)
            assert everything(store) == model
        needed = {p.key for p in memory.pictures.all("store") if not p.forgotten}
        assert len(needed) == len(set(model.values()))


WRITER = """
import sys
from pathlib import Path
from looktwice.agent.langchain import PictureStore
path, who, picture = sys.argv[1:]
store = PictureStore(path)
print("ready", flush=True)
sys.stdin.readline()
for number in range(15):
    store.mset([(f"{who} {number}", Path(picture).read_bytes()), ("shared", Path(picture).read_bytes())])
    store.mdelete([f"{who} {number - 1}"] if number % 2 else [])
"""


def test_two_processes_set_and_delete_at_once(path: Path, tmp_path: Path) -> None:
    writers: list[subprocess.Popen[str]] = []
    for who, value in (("a", RED), ("b", BLUE)):
        (tmp_path / who).write_bytes(value)
        command = [sys.executable, "-c", WRITER, str(path), who, str(tmp_path / who)]
        writers.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
    for writer in writers:
        assert writer.stdout is not None and writer.stdout.readline() == "ready\n"
    for writer in writers:
        writer.communicate("go\n", timeout=60)
    assert [writer.returncode for writer in writers] == [0, 0]
    with Memory(path) as memory:
        kept = everything(PictureStore(memory))
        shared = kept.pop("shared")
        assert shared in (RED, BLUE)
        assert kept == {f"{who} {n}": value for who, value in (("a", RED), ("b", BLUE)) for n in range(1, 15, 2)} | {
            f"{who} 14": value for who, value in (("a", RED), ("b", BLUE))
        }
        assert memory.verify() == []
