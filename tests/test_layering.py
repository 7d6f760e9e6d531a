"""The table of imports (CONTRIBUTING.md): who may import whom, and who alone imports what."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "shplan"
ANY = {"*"}
# Room: (rooms of shplan, packages of others).
TABLE: dict[str, tuple[set[str], set[str]]] = {
    "core": (set(), {"deepdiff", "orjson", "msgspec", "shapely", "pyproj", "numpy"}),
    "schema": (set(), {"yaml"}),
    "providers": ({"core"}, set()),
    "manifest": (
        {"core", "providers", "schema", "script"},
        {
            "yaml",
            "ruamel",
            "jinja2",
            "jsonschema",
            "jsonschema_rs",
            "pydantic",
            "packaging",
            "shapely",
            "orjson",
            "markupsafe",
        },
    ),
    "api": (
        {"core", "providers.base"},
        {"httpx", "httpx_aiohttp", "aiohttp", "msgspec", "pydantic", "orjson"},
    ),
    "ledger": ({"core"}, {"msgspec", "pydantic", "orjson"}),
    "storage": ({"core"}, {"msgspec", "pydantic"}),
    "views": ({"core"}, {"rich", "pydantic", "orjson"}),
    "engine": ({"core", "providers"}, set()),
    "sandbox": ({"schema", "script"}, ANY),
    "cli": (ANY, {"click", "rich", "orjson", "numpy", "rasterio"}),
}
# Package: the only modules that import it, so that a choice can be changed in one file.
ONLY: dict[str, set[str]] = {
    "yaml": {"manifest/parse.py", "manifest/yaml_errors.py", "schema/extract.py"},
    "ruamel": {"manifest/rewrite.py"},
    "jinja2": {"manifest/jinja.py"},
    "deepdiff": {"core/diff.py"},
    "msgspec": {"core/line.py", "api", "ledger"},
    "shapely": {
        "core/geometry.py",
        "manifest/geodata.py",
        "manifest/members.py",
        "sandbox/geometry.py",
    },
    "pyproj": {"core/geometry.py", "sandbox/geometry.py"},
    "asyncio": {"api", "engine", "cli", "ledger", "sandbox", "storage"},
    "click": {"cli"},
    "rich": {"views/progress.py"},
}


def imports(path: Path) -> Iterator[str]:
    """Yield every imported module, also those inside functions and behind TYPE_CHECKING."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            yield node.module
            if node.module == "shplan":
                yield from (f"shplan.{alias.name}" for alias in node.names)


MODULES = sorted(path for path in ROOT.rglob("*.py") if len(path.relative_to(ROOT).parts) > 1)


def shown(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", MODULES, ids=shown)
def test_imports_fit_the_table(path: Path) -> None:
    room = path.relative_to(ROOT).parts[0]
    rooms, outside = TABLE[room]
    for name in imports(path):
        first, _, rest = name.partition(".")
        if first == "shplan":
            target = rest.split(".")[0]
            if not rest or target in ("__version__", room) or rooms == ANY:
                continue
            allowed = any(rest == one or rest.startswith(f"{one}.") for one in rooms)
            assert allowed, f"{room} imports {name}"
        elif first not in sys.stdlib_module_names:
            assert outside == ANY or first in outside, f"{room} imports {first}"


@pytest.mark.parametrize("package", sorted(ONLY))
def test_has_one_importer(package: str) -> None:
    found = {
        shown(path) for path in MODULES if any(n.split(".")[0] == package for n in imports(path))
    }
    allowed = ONLY[package]
    strangers = {one for one in found if one not in allowed and one.split("/")[0] not in allowed}
    assert not strangers


def test_core_touches_nothing() -> None:
    """No file, socket, clock, random number or environment variable in core."""
    forbidden = {
        "os",
        "pathlib",
        "random",
        "socket",
        "subprocess",
        "tempfile",
        "time",
        "asyncio",
        "io",
        "sys",
    }
    for path in MODULES:
        if shown(path).startswith("core/"):
            touched = forbidden & {name.split(".")[0] for name in imports(path)}
            assert not touched, f"{shown(path)} imports {touched}"
