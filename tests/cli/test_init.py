"""`shplan init`: a project that works at once, and nobody's files are lost."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
import rasterio

from shplan.cli.init import BUCKET, checked_name, contents, project_name, scalar
from shplan.sandbox.farm import BANDS, DAYS, cog
from shplan.schema.store import manifest_schema


def tree(home: Path) -> dict[str, bytes]:
    return {
        path.relative_to(home).as_posix(): path.read_bytes()
        for path in sorted(home.rglob("*"))
        if path.is_file()
    }


def test_a_new_project_is_applied_to_nothing_left(run, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = run("init", "farm")
    assert made.code == 0
    assert made.out.splitlines()[-3:] == ["  cd farm", "  shplan plan", "  shplan apply"]
    monkeypatch.chdir(tmp_path / "farm")
    for command, code in (
        (("validate",), 0),
        (("fmt", "--check"), 0),
        (("plan", "--detailed-exitcode"), 2),
        (("apply", "--auto-approve"), 0),
        (("plan", "--detailed-exitcode"), 0),
        (("ledger", "verify"), 0),
    ):
        said = run(*command)
        assert said.code == code, said


def test_two_projects_of_one_name_are_the_same_bytes(run, tmp_path: Path) -> None:
    for parent in ("a", "b"):
        assert run("init", str(tmp_path / parent / "farm")).code == 0
    first = tree(tmp_path / "a")
    assert first == tree(tmp_path / "b")
    assert {f"farm/{BUCKET}/{date}/{band}.tiff" for date in DAYS for band in BANDS} <= set(first)


@pytest.mark.parametrize(
    "name", ["2024", "true", "null", "1e5", "0x1f", "y", "my farm", "ünï", "+"]
)
def test_any_directory_gives_a_valid_project(name: str, run, tmp_path: Path, monkeypatch) -> None:
    assert run("init", str(tmp_path / name)).code == 0
    monkeypatch.chdir(tmp_path / name)
    assert run("validate").code == 0


@pytest.mark.parametrize("name", ["", "a} b", "-a", "a.", "two words", "x" * 101, "a\nb"])
def test_a_name_that_the_schema_refuses_is_refused(name: str, run, tmp_path: Path) -> None:
    said = run("init", str(tmp_path / "p"), "--name", name)
    assert said.code == 1
    assert "--name" in said.err
    assert not (tmp_path / "p").exists()


def test_names_follow_the_schema() -> None:
    """The pattern stands in the schema; here only its longest text."""
    longest = manifest_schema("Project")["$defs"]["Name"]["maxLength"]  # type: ignore[index, call-overload]
    assert checked_name("x" * longest) == "x" * longest
    assert len(project_name("-" + "x" * 500)) == longest


def test_a_name_that_reads_as_something_else_is_quoted() -> None:
    assert [scalar(one) for one in ("farm", "2024", "No")] == ["farm", '"2024"', '"No"']


def test_files_that_are_there_are_listed_and_kept(run, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine")
    (tmp_path / "manifests").mkdir()
    (tmp_path / "manifests" / "fields.yaml").write_text("mine too")
    before = tree(tmp_path)
    said = run("init", str(tmp_path), "--name", "farm")
    assert said.code == 1
    assert "README.md" in said.err
    assert "manifests/fields.yaml" in said.err
    assert "shplan.yaml" not in said.err
    assert tree(tmp_path) == before


def test_imagery_that_somebody_changed_is_kept(run, tmp_path: Path) -> None:
    image = tmp_path / BUCKET / next(iter(DAYS)) / f"{BANDS[0]}.tiff"
    image.parent.mkdir(parents=True)
    image.write_bytes(b"mine")
    assert run("init", str(tmp_path), "--name", "farm").code == 1
    assert tree(tmp_path) == {image.relative_to(tmp_path).as_posix(): b"mine"}


def test_force_overwrites_all_but_the_lines_of_gitignore(run, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine")
    (tmp_path / ".gitignore").write_text("*.tmp")
    for _ in range(2):
        assert run("init", str(tmp_path), "--name", "farm", "--force").code == 0
    assert (tmp_path / "README.md").read_text().startswith("# farm\n")
    assert (tmp_path / ".gitignore").read_text() == "*.tmp\n.shplan/\n"


def test_a_gitignore_alone_does_not_stop_it(run, tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("*.tmp\n")
    assert run("init", str(tmp_path)).code == 0
    assert (tmp_path / ".gitignore").read_text() == "*.tmp\n.shplan/\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"caf\xe9\r\nx", b"caf\xe9\r\nx\n.shplan/\n"),
        (b"x\r\n .shplan/ \r\n", b"x\r\n .shplan/ \r\n"),
        (b"", b".shplan/\n"),
    ],
)
def test_the_lines_of_gitignore_stay_as_they_are(
    before: bytes, after: bytes, run, tmp_path: Path
) -> None:
    (tmp_path / ".gitignore").write_bytes(before)
    assert run("init", str(tmp_path), "--name", "farm").code == 0
    assert (tmp_path / ".gitignore").read_bytes() == after


@pytest.mark.parametrize("force", [(), ("--force",)])
def test_a_directory_in_the_way_is_a_message(force, run, tmp_path: Path) -> None:
    (tmp_path / "shplan.yaml").mkdir()
    said = run("init", str(tmp_path), "--name", "farm", *force)
    assert said.code == 1
    assert "shplan.yaml" in said.err


def test_a_file_where_a_directory_should_be_is_a_message(run, tmp_path: Path) -> None:
    (tmp_path / "manifests").write_text("")
    said = run("init", str(tmp_path), "--name", "farm")
    assert said.code == 1
    assert "error[init/not-written]" in said.err
    assert "manifests" in said.err


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_directory_that_may_not_be_written_is_a_message(run, tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    said = run("init", str(tmp_path / "farm"))
    tmp_path.chmod(0o755)
    assert said.code == 1
    assert "error[init/not-written]" in said.err


def test_without_the_sandbox_the_command_to_install_is_said(run, tmp_path: Path) -> None:
    """In an environment whose finder knows no rasterio."""
    import subprocess
    import sys

    program = (
        "import importlib.util as u, sys\n"
        "found = u.find_spec\n"
        "u.find_spec = lambda name, package=None: None if name == 'rasterio' else found(name, package)\n"
        "from shplan.cli.main import run\n"
        f"sys.argv = ['shplan', 'init', {str(tmp_path / 'farm')!r}]\n"
        "run()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 1
    assert "pip install 'shplan[sandbox]'" in done.stderr
    assert not (tmp_path / "farm").exists()


def test_imagery_is_a_cloud_optimised_geotiff() -> None:
    content = cog("2025/06/11", "B08")
    assert content != cog("2025/06/21", "B08")
    assert len(content) < 600_000
    with rasterio.open(io.BytesIO(content)) as raster:
        assert raster.profile["blockxsize"] == raster.profile["blockysize"] == 256
        assert raster.overviews(1) == [2]
        assert raster.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert (raster.dtypes, raster.nodata, raster.crs.to_epsg()) == (("uint16",), 0, 32633)
        assert raster.read(1).min() > 0


def test_every_file_of_the_template_is_text_with_its_name() -> None:
    for path, content in contents("farm"):
        assert b"@NAME@" not in content, path
