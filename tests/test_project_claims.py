"""What README, CONTRIBUTING, CHANGELOG and Makefile claim is run or looked up, claim by claim."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from examples.prepare import run_shplan, write_imagery
from shplan import __version__
from shplan.cli.docs import EXIT_CODES
from shplan.cli.exit_door import BUG, CODES, INTERRUPTED
from shplan.cli.main import COMMANDS
from shplan.schema.store import manifest_kinds
from tests.test_layering import TABLE

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("examples/**/*.md")])
# Source: Keep a Changelog 1.1.0, "Types of changes"; upgrade notes are ours and stand first.
SECTIONS = ["Upgrading", "Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def targets() -> dict[str, str]:
    """Each target of the Makefile with its line of help, which may be empty."""
    found = re.findall(r"^([a-z][a-z-]*):[^=\n]*?(?:## (.*))?$", MAKEFILE, re.MULTILINE)
    return dict(found)


def cells(text: str) -> Iterator[list[str]]:
    for line in text.splitlines():
        if line.startswith("|") and not line.startswith("|---"):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def kept_files() -> list[Path]:
    """What the repository holds, or what would be added to it."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    if listed.returncode:
        pytest.skip("not a Git checkout")
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_make_command_in_the_texts_is_a_target() -> None:
    """In code only: prose may make what it likes."""
    code = "\n".join(
        part
        for text in (README, CONTRIBUTING)
        for part in [*blocks(text, "sh"), *re.findall(r"`[^`\n]+`", text)]
    )
    named = set(re.findall(r"^`?make ([a-z][a-z-]*)", code, re.MULTILINE))
    assert {"demo", "test", "check", "install", "schemas"} <= named
    assert named <= set(targets())


def test_make_alone_lists_every_target_that_people_call() -> None:
    # A make that runs these tests says where it is, unless told not to.
    done = subprocess.run(
        ["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    lines = [line.split(maxsplit=1) for line in done.stdout.splitlines()]
    # What only `check` calls has no help.
    assert {name for name, _ in lines} == {name for name, text in targets().items() if text}
    assert {name for name, text in targets().items() if not text} <= {
        "format-check",
        "schemas-check",
        "docs-check",
    }
    assert lines[0][0] == "help"


def test_no_target_is_taken_for_a_file() -> None:
    (phony,) = re.findall(r"^\.PHONY: ((?:.*\\\n)*.*)$", MAKEFILE, re.MULTILINE)
    assert set(phony.replace("\\\n", " ").split()) == set(targets())


def test_every_command_in_the_texts_exists() -> None:
    """In code only: prose may say `shplan` and go on."""
    code = "".join(part for page in PAGES for part in re.findall(r"`[^`]+`", page.read_text()))
    shell = "".join(block for page in PAGES for block in blocks(page.read_text(), "sh"))
    named = set(re.findall(r"`shplan ([a-z]+)", code)) | set(
        re.findall(r"^(?:\S*/)?shplan ([a-z]+)", shell, re.MULTILINE)
    )
    assert {"plan", "apply", "init"} <= named
    assert named <= set(COMMANDS)


def test_contributing_names_every_dependency_and_no_other() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    lines = [*project["dependencies"], *(one for extra in extras.values() for one in extra)]
    declared = {re.split(r"[<>=!~;\[ ]", line, maxsplit=1)[0].lower() for line in lines}
    table = CONTRIBUTING.split("## Dependencies", 1)[1]
    named = {
        name.strip().lower()
        for first, *_ in list(cells(table))[1:]
        for name in re.sub(r"\*[a-z0-9]+:\*", "", first).split(",")
    }
    assert named == declared
    assert all(why for _, why in cells(table))


def test_contributing_shows_every_room() -> None:
    house = CONTRIBUTING.split("## The house", 1)[1].split("\n## ", 1)[0]
    shown = {name for first, *_ in cells(house) for name in re.findall(r"`([a-z]+)/`", first)}
    rooms = {path.parent.name for path in (ROOT / "shplan").glob("*/__init__.py")}
    assert shown == rooms == set(TABLE)


def test_the_changelog_keeps_its_form() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    versions = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert versions[0] == "Unreleased"
    for version in versions[1:]:
        assert re.fullmatch(r"\d+\.\d+\.\d+ - \d{4}-\d\d-\d\d", version)
    for part in text.split("\n## ")[1:]:
        kinds = re.findall(r"^### (.+)$", part, re.MULTILINE)
        assert kinds
        assert kinds == sorted(set(kinds), key=SECTIONS.index)


def test_the_changelog_names_every_command_and_kind() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    wanted = {*COMMANDS, *(kind for kind in manifest_kinds() if kind != "Project")}
    assert {name for name in wanted if f"`{name}`" not in text} == set()


def test_the_reference_has_every_exit_code() -> None:
    codes = [int(first) for first, *_ in list(cells(EXIT_CODES))[1:]]
    assert codes == sorted(codes)
    assert {0, 1, 2, 3, BUG, INTERRUPTED, *(code for _, code in CODES)} == set(codes)


def test_the_project_of_the_readme_plans_what_the_readme_prints(tmp_path: Path) -> None:
    """The README's own lines, run."""
    (manifest,) = (block for block in blocks(README, "yaml") if block.startswith("# manifests/"))
    (shown,) = (block for block in blocks(README, "text") if block.startswith("$ shplan plan\n"))
    (tmp_path / "manifests").mkdir()
    (tmp_path / "manifests" / "fields.yaml").write_text(manifest)
    (tmp_path / "shplan.yaml").write_text(
        "apiVersion: shplan/v1\nkind: Project\nmetadata: {name: acme}\n"
    )
    (tmp_path / "tiles.csv").write_text(
        "path,sensingTime\n2025/06/01,2025-06-01T10:00:00Z\n2025/06/11,2025-06-11T10:00:00Z\n"
    )
    write_imagery("01-first-collection", tmp_path / ".shplan" / "sandbox" / "buckets")
    assert run_shplan(tmp_path, "plan") == shown.split("\n", 1)[1]
    run_shplan(tmp_path, "apply", "--auto-approve")
    assert run_shplan(tmp_path, "plan", "--detailed-exitcode").startswith("No changes.")


def test_the_job_of_the_readme_costs_what_the_readme_prints_and_runs_once(tmp_path: Path) -> None:
    """The commands of the section on jobs, in the example that it quotes."""
    home = tmp_path / "valley"
    shutil.copytree(
        ROOT / "examples" / "08-evalscript-and-batch",
        home,
        ignore=shutil.ignore_patterns(".shplan"),
    )
    section = README.split("## Jobs: run once, pay once", 1)[1].split("\n## ", 1)[0]
    (why, again) = blocks(section, "text")
    assert run_shplan(home, "why", "BatchProcess/ndvi") == why.split("\n", 1)[1]
    # The run is another one at 60 m, with 36 times fewer pixels to make.
    manifest = home / "manifests" / "ndvi.yaml"
    text = manifest.read_text()
    assert "resolution: 10}" in text
    manifest.write_text(text.replace("resolution: 10}", "resolution: 60}"))
    run_shplan(home, "apply", "--auto-approve")
    script = home / "evalscripts" / "ndvi.js"
    script.write_text(script.read_text() + "// A new comment.\n")
    assert run_shplan(home, "plan", "--detailed-exitcode") == again.split("\n", 1)[1]


def test_the_manifest_of_the_section_on_jobs_is_the_example_shortened() -> None:
    section = README.split("## Jobs: run once, pay once", 1)[1].split("\n## ", 1)[0]
    (shown,) = blocks(section, "yaml")
    example = (ROOT / "examples/08-evalscript-and-batch/manifests/ndvi.yaml").read_text()
    lines = [line.split("#")[0].strip() for line in shown.splitlines()]
    flow = [line for line in lines if line and "..." not in line and not line.startswith("run:")]
    assert [line for line in flow if line not in example] == []


def test_the_version_is_a_version() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", __version__)


FORBIDDEN = {
    "a path of one machine": re.compile(rb"(?<![\w.])/(?:home|root|Users|work)/[\w.-]+|C:\\+Users"),
    "a key of AWS": re.compile(rb"AKIA[0-9A-Z]{9}(?!EXAMPLE)[0-9A-Z]{7}"),
    "a private key": re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----\n"),
    "a token": re.compile(rb"eyJ[\w-]{20,}\.eyJ[\w-]{20,}\.[\w-]{20,}"),
}
# In two halves, so that this file does not find itself.
SPECIMENS = {
    "a path of one machine": ("/ho", "me/ana/farm"),
    "a key of AWS": ("AKIA", "1234567890ABCDEF"),
    "a private key": ("-----BEGIN RSA PRIV", "ATE KEY-----\n"),
    "a token": ("eyJ" + "h" * 20, ".eyJ" + "p" * 20 + "." + "s" * 20),
}
SCANNERS = {"test_project_texts.py", Path(__file__).name}


@pytest.mark.parametrize("what", sorted(FORBIDDEN))
def test_no_file_holds(what: str) -> None:
    assert FORBIDDEN[what].search("".join(SPECIMENS[what]).encode())
    files = [path for path in kept_files() if path.name not in SCANNERS]
    found = [path for path in files if FORBIDDEN[what].search(path.read_bytes())]
    assert [path.relative_to(ROOT).as_posix() for path in found] == []


def test_no_imagery_and_nothing_large_is_kept() -> None:
    """Imagery is made by programs; see examples/prepare.py."""
    files = kept_files()
    assert [path for path in files if path.suffix in (".tif", ".tiff", ".sqlite", ".whl")] == []
    assert [path for path in files if path.stat().st_size > 1_000_000] == []


def test_the_ledger_is_never_kept() -> None:
    assert [path for path in kept_files() if ".shplan" in path.parts] == []


def test_the_texts_of_the_license_are_whole() -> None:
    text = (ROOT / "LICENSE").read_text()
    parts = [int(one) for one in re.findall(r"^   (\d)\. ", text, re.MULTILINE)]
    assert parts == list(range(1, 10))
    assert all(first < second for first, second in pairwise(parts))
    assert "Version 2.0, January 2004" in text
    assert "APPENDIX: How to apply the Apache License" in text
