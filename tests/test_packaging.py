"""What is installed: dependencies that are declared, data that ships, a script that starts."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import entry_points, packages_distributions, version
from pathlib import Path

import pytest

import shplan

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
# Declared though nothing below shplan/ imports them, and why.
SILENT = {
    "jsonschema": "the tests check the schemas with it, as the users of schemas do",
    "sniffio": "httpx's locks look for it on every request",
}


def canonical(name: str) -> str:
    """Source: PyPA specifications, "Name normalization"."""
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(group: str | None) -> set[str]:
    project = PROJECT["project"]
    lines = project["optional-dependencies"][group] if group else project["dependencies"]
    return {canonical(re.split(r"[<>=!~;\[ ]", line, maxsplit=1)[0]) for line in lines}


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]


def distributions(modules: set[str]) -> set[str]:
    known = packages_distributions()
    foreign = modules - sys.stdlib_module_names - {"shplan"}
    return {canonical(known[module][0]) for module in foreign}


# For tests of other people's programs, who have these: a fixture, and a configuration for a client.
FOR_TESTS = {"sandbox/testing.py": {"pytest", "sentinelhub"}}


def modules_of(*rooms: str) -> set[str]:
    here = ROOT / "shplan"
    paths = [path for room in rooms for path in (here / room).rglob("*.py")]
    assert paths
    return {
        name
        for path in paths
        for name in imported(path)
        if name not in FOR_TESTS.get(path.relative_to(here).as_posix(), set())
    }


@pytest.mark.parametrize("path", sorted(FOR_TESTS))
def test_what_is_for_tests_loads_without_their_packages(path: str) -> None:
    module = "shplan." + path.removesuffix(".py").replace("/", ".")
    missing = "".join(f"sys.modules[{name!r}] = None; " for name in sorted(FOR_TESTS[path]))
    command = [sys.executable, "-c", f"import sys; {missing}import {module}"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert FOR_TESTS[path] <= set(imported(ROOT / "shplan" / path))


ROOMS = sorted(
    path.name
    for path in (ROOT / "shplan").iterdir()
    if (path / "__init__.py").exists() and path.name not in ("sandbox", "cli")
)


def test_what_the_client_imports_is_declared_without_extras() -> None:
    """A client of the real service installs neither rasterio nor a server."""
    rooms = [room for room in ROOMS if room not in ("storage", "ledger")]
    assert distributions(modules_of(*rooms)) <= declared(None)


def test_what_reads_buckets_is_declared_with_its_extra() -> None:
    foreign = distributions(modules_of("storage"))
    assert foreign <= declared(None) | declared("s3")
    assert declared("s3") <= foreign & declared("dev")


def test_what_keeps_ledgers_is_declared_with_its_extra() -> None:
    foreign = distributions(modules_of("ledger"))
    assert foreign <= declared(None) | declared("postgres")
    assert declared("postgres") <= foreign & declared("dev")


def test_what_the_sandbox_imports_is_declared_with_its_extra() -> None:
    assert distributions(modules_of("sandbox", "cli")) <= declared(None) | declared("sandbox")


def test_nothing_is_declared_that_nobody_imports() -> None:
    used = distributions(modules_of(*ROOMS, "sandbox", "cli"))
    extras = declared("sandbox") | declared("s3") | declared("postgres")
    assert (declared(None) | extras) - used == set(SILENT)


def test_every_command_starts_without_the_packages_of_the_extras() -> None:
    """Their modules are imported when they are used, so that help and validation work without."""
    extras = sorted(declared("sandbox") | declared("s3") | declared("postgres"))
    program = (
        "import importlib, sys\n"
        f"for name in {extras!r}: sys.modules[name] = None\n"
        "from shplan.cli.main import COMMANDS\n"
        "for module, _ in COMMANDS.values(): importlib.import_module(f'shplan.cli.{module}')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_script_is_the_entry_of_the_program() -> None:
    (script,) = entry_points(group="console_scripts", name="shplan")
    assert script.value == PROJECT["project"]["scripts"]["shplan"]
    assert callable(script.load())


def test_there_is_one_version() -> None:
    assert version("shplan") == shplan.__version__


def test_types_are_published() -> None:
    assert (Path(shplan.__file__).parent / "py.typed").exists()


@pytest.mark.parametrize("part", ["api", "manifest", "source"])
def test_the_wheel_takes_the_schemas_along(part: str) -> None:
    """`make wheel-test` tries the wheel itself; here the place they go to is where they are read."""
    included = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    store = importlib.import_module("shplan.schema.store")
    assert included == {"schemas": "shplan/schema/data"}
    assert Path(store.__file__).parent / "data" == ROOT / included["schemas"]
    assert any((ROOT / "schemas" / part).glob("*.json"))
