"""The table of imports (CONTRIBUTING.md): who may import whom, and who alone imports what."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "shplan"
ANY = {"*"}
# Room: (rooms of shplan, packages of others).
TABLE: dict[str, tuple[set[str], set[str]]] = {
    # msgspec: the forms of ledger lines are structs, so that ten thousand are read in no time.
    # numpy: coordinates are compared as arrays; shapely brings it along.
    "core": (set(), {"deepdiff", "orjson", "msgspec", "shapely", "pyproj", "numpy"}),
    "schema": (set(), {"yaml"}),
    "providers": ({"core"}, {"pyarrow"}),
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
            "pyarrow",
            "re2",
        },
    ),
    "api": (
        {"core"},
        {"httpx", "httpx_aiohttp", "aiohttp", "msgspec", "pydantic"},
    ),
    "ledger": ({"core", "storage"}, {"msgspec", "psycopg", "pydantic"}),
    "storage": ({"core"}, {"botocore", "msgspec", "pydantic"}),
    # orjson: plans as JSON are written in the form that their digest is taken of.
    "views": ({"core"}, {"rich", "pydantic", "orjson"}),
    "engine": ({"core", "providers"}, set()),
    "script": (
        set(),
        {"numpy", "py_mini_racer", "quickjs", "tree_sitter", "tree_sitter_javascript"},
    ),
    "sandbox": ({"schema.store", "script"}, ANY),
    "cli": (ANY, {"click", "orjson"}),
}
# Package: the only modules or rooms that import it, so that a choice can be changed in one file.
ONLY: dict[str, set[str]] = {
    "aiohttp": {"api/network.py"},
    "asyncio": {"api", "engine", "cli", "ledger/tail.py", "sandbox", "storage"},
    # Twice, because the sandbox shares nothing with the client but the schemas.
    "botocore": {"storage/aws.py", "sandbox/remote_buckets.py"},
    "click": {"cli"},
    "cql2": {"sandbox/catalog_filters.py"},
    "deepdiff": {"core/diff.py"},
    "httpx": {"api/lean_httpx.py"},
    "httpx_aiohttp": {"api/network.py"},
    "jinja2": {"manifest/jinja.py", "manifest/jinja_filters.py"},
    # Twice, because the sandbox shares nothing with the client but the schemas.
    "jsonschema_rs": {
        "manifest/explain.py",
        "manifest/forms.py",
        "manifest/validate.py",
        "manifest/violation.py",
        "sandbox/contract.py",
    },
    "msgspec": {"core/line.py", "api", "ledger"},
    "numcodecs": {"sandbox/zarr_codecs.py"},
    "numpy": {
        "core/areas.py",
        "core/cells.py",
        "core/geometry.py",
        "script/cases.py",
        "script/planes.py",
        "sandbox/areas.py",
        "sandbox/byoc_raster.py",
        "sandbox/catalog_area.py",
        "sandbox/cog_writing.py",
        "sandbox/farm.py",
        "sandbox/geoid.py",
        "sandbox/images.py",
        "sandbox/interval_statistics.py",
        "sandbox/lattices.py",
        "sandbox/mosaics.py",
        "sandbox/places.py",
        "sandbox/processing_options.py",
        "sandbox/public_raster.py",
        "sandbox/raster_sources.py",
        "sandbox/samples.py",
        "sandbox/script_images.py",
        "sandbox/imagery",
        "sandbox/scenes",
        "sandbox/sample.py",
        "sandbox/strips.py",
        "sandbox/tallies.py",
        "sandbox/tiles.py",
        "sandbox/warping.py",
        "sandbox/zarr_axes.py",
        "sandbox/zarr_raster.py",
        "sandbox/zarr_chunks.py",
        "sandbox/zarr_codecs.py",
        "sandbox/zarr_layout.py",
    },
    "packaging": {"manifest/project.py"},
    "psycopg": {"ledger/backends/postgres_session.py", "ledger/backends/postgres_tables.py"},
    "py_mini_racer": {"script/engine_v8.py"},
    # Twice: tables of tiles are read, an answer of the Statistical API is written as one.
    "pyarrow": {"manifest/members_parquet.py", "providers/parquet_table.py"},
    "pydantic": {"views/saved_plan.py"},
    "pyproj": {"core/geometry.py", "sandbox/geometry.py"},
    "quickjs": {"script/engine_quickjs.py"},
    "rasterio": {
        "sandbox/bucket_files.py",
        "sandbox/cog.py",
        "sandbox/cog_writing.py",
        "sandbox/farm.py",
        "sandbox/images.py",
        "sandbox/remote_files.py",
        "sandbox/sample.py",
        "sandbox/script_images.py",
        "sandbox/warping.py",
    },
    "re2": {"manifest/linear_regex.py"},
    "rich": {"views/progress.py"},
    "ruamel": {"manifest/rewrite.py", "manifest/yaml_tree.py"},
    # Equality, areas and cells are core's; reading GeoJSON and tables of places is the manifest's.
    # The sandbox's are its own: areas of interest, and GeoPackages.
    "shapely": {
        "core/areas.py",
        "core/cells.py",
        "core/geometry.py",
        "core/grid_tiles.py",
        "core/request_rings.py",
        "manifest/geodata.py",
        "manifest/members.py",
        "manifest/members_parquet.py",
        "sandbox/areas.py",
        "sandbox/catalog_area.py",
        "sandbox/farm.py",
        "sandbox/geopackage.py",
        "sandbox/imagery",
        "sandbox/sample.py",
        "sandbox/scenes",
    },
    "starlette": {"sandbox"},
    "tree_sitter": {
        f"script/{name}.py"
        for name in ("coverage", "doubts", "nodes", "reading", "returning", "tracing")
    },
    "tree_sitter_javascript": {"script/reading.py"},
    "uvicorn": {"sandbox/serve.py"},
    # Reads manifests, with positions; and the API's description when schemas are derived.
    "yaml": {"manifest/parse.py", "manifest/yaml_places.py", "schema/extract.py"},
}


@cache
def imports(path: Path) -> tuple[str, ...]:
    """Every imported module, also those inside functions and behind TYPE_CHECKING."""
    return tuple(_imports(path))


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
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
def test_is_imported_where_the_table_says(package: str) -> None:
    found = {
        shown(path) for path in MODULES if any(n.split(".")[0] == package for n in imports(path))
    }
    allowed = ONLY[package]
    covered = {next((part for part in _parts(one) if part in allowed), one) for one in found}
    assert covered == allowed


def _parts(path: str) -> list[str]:
    """The file and the folders that it lies in."""
    steps = path.split("/")
    return ["/".join(steps[:count]) for count in range(len(steps), 0, -1)]


def test_every_room_is_in_the_table() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in MODULES} == set(TABLE)


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


# A room with a front door: its users name what they need and not where it lies.
DOORS = {"script/__init__.py": "shplan.script"}


def test_packages_hold_no_code() -> None:
    """What an `__init__.py` does is done on every start."""
    full = {shown(one) for one in MODULES if one.name == "__init__.py" and one.stat().st_size}
    assert full == set(DOORS)


@pytest.mark.parametrize("path", sorted(DOORS))
def test_a_front_door_only_exports(path: str) -> None:
    package = importlib.import_module(DOORS[path])
    _, *body = ast.parse((ROOT / path).read_text()).body
    *exports, names = body
    assert all(isinstance(one, ast.ImportFrom) for one in exports)
    assert isinstance(names, ast.Assign)
    exported = {alias.asname or alias.name for one in exports for alias in one.names}
    assert set(package.__all__) == exported


@pytest.mark.parametrize(
    ("arguments", "allowed"),
    [
        (["--help"], {"click"}),
        (["--version"], {"click"}),
        (["plan", "--help"], {"click", "asyncio"}),
    ],
)
def test_help_loads_nothing_heavy(arguments: list[str], allowed: set[str]) -> None:
    """Start-up is paid on every command: click and the light half of the standard library."""
    program = (
        "import sys\n"
        "from shplan.cli.main import run\n"
        f"sys.argv = ['shplan', *{arguments!r}]\n"
        "try:\n"
        "    run()\n"
        "finally:\n"
        "    print(*sorted({name.split('.')[0] for name in sys.modules}), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0
    loaded = set(done.stderr.split())
    assert "click" in loaded
    assert loaded & (set(ONLY) | {"orjson"}) <= allowed
