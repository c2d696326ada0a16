"""What is installed is what lies in the tree, and the rooms know only those below them."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import looktwice

ROOT = Path(__file__).parents[1]
ROOMS = {"looktwice": "package", "looktwice.agent": "agent", "looktwice.memory": "memory", "looktwice.tools": "tools"}
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def folder_of(package: str) -> Path:
    """Where a package of pyproject.toml lies in the tree."""
    room = max((r for r in ROOMS if package == r or package.startswith(f"{r}.")), key=len)
    return ROOT / ROOMS[room] / package.removeprefix(room).strip(".").replace(".", "/")


def sources() -> Iterator[tuple[str, ast.Module]]:
    """The dotted name and the syntax tree of every module."""
    for room, folder in ROOMS.items():
        for file in (ROOT / folder).rglob("*.py"):
            below = file.relative_to(ROOT / folder).with_suffix("").parts
            yield ".".join([room, *below]), ast.parse(file.read_text(encoding="utf-8"))


def imports(module: str, tree: ast.Module) -> Iterator[str]:
    """What a module imports, by full dotted name, wherever in the file it does so."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = module.split(".")[: -node.level] if node.level else []
            yield ".".join([*above, *filter(None, [node.module])])


def own_all(tree: ast.Module) -> list[str] | None:
    """The module's ``__all__``, if it has one."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return ast.literal_eval(node.value)
    return None


def test_every_package_in_the_tree_is_named_in_pyproject() -> None:
    in_tree = {module.rpartition(".")[0] for module, _ in sources()}
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == in_tree


def test_every_package_has_an_init_file() -> None:
    packages: list[str] = PROJECT["tool"]["setuptools"]["packages"]
    assert [p for p in packages if not (folder_of(p) / "__init__.py").is_file()] == []


def test_every_data_file_in_the_tree_is_named_in_pyproject() -> None:
    data: dict[str, list[str]] = PROJECT["tool"]["setuptools"]["package-data"]
    named = {file for package, patterns in data.items() for p in patterns for file in folder_of(package).glob(p)}
    files = [file for folder in ROOMS.values() for file in (ROOT / folder).rglob("*") if file.is_file()]
    assert {file for file in files if file.suffix not in {".py", ".pyc"}} == named


def test_the_version_is_the_same_in_both_places() -> None:
    assert looktwice.__version__ == PROJECT["project"]["version"]


@pytest.mark.parametrize("name", looktwice.__all__)
def test_every_name_of_the_front_door_exists(name: str) -> None:
    assert getattr(looktwice, name) is not None
    assert name in dir(looktwice)


def test_an_unknown_name_of_the_front_door_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'looktwice' has no attribute 'agnet'"):
        getattr(looktwice, "agnet")  # noqa: B009


def test_every_all_is_sorted() -> None:
    exported = {module: names for module, tree in sources() if (names := own_all(tree)) is not None}
    assert {"looktwice.__init__", "looktwice.errors"} <= exported.keys()
    assert [module for module, names in exported.items() if names != sorted(names)] == []


def test_the_rooms_know_only_those_below_them() -> None:
    above = {"memory": ("tools", "agent"), "tools": ("agent",), "errors": ("memory", "tools", "agent")}
    wrong = [
        (module, name)
        for module, tree in sources()
        for name in imports(module, tree)
        for other in above.get(module.split(".")[1], ())
        if name == f"looktwice.{other}" or name.startswith(f"looktwice.{other}.")
    ]
    assert wrong == []


def test_torch_and_transformers_are_imported_in_the_backends_alone() -> None:
    outside = [
        (module, name)
        for module, tree in sources()
        if not module.startswith("looktwice.agent.backends.")
        for name in imports(module, tree)
        if name.split(".")[0] in {"torch", "transformers"}
    ]
    assert outside == []


def test_constraints_pin_every_dependency() -> None:
    pinned = set(re.findall(r"^([\w-]+)==", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE))
    extras: dict[str, list[str]] = PROJECT["project"]["optional-dependencies"]
    wanted: list[str] = [*PROJECT["project"]["dependencies"], *(r for extra in extras.values() for r in extra)]
    assert [r for r in wanted if re.split(r"[\[>]", r)[0] not in pinned] == []


def test_the_ci_script_is_valid_shell() -> None:
    subprocess.run(["bash", "-n", ROOT / ".ci" / "run"], check=True)
