"""The reference is made from the program; what the README repeats of it is the same."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from shplan.cli import docs
from shplan.cli.main import COMMANDS
from shplan.sandbox.address import Address, url

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def test_every_command_has_its_section_and_says_what_it_does() -> None:
    text = docs.reference()
    for name in COMMANDS:
        section = text.split(f"## `shplan {name}`\n\n```text\n")[1].split("```")[0]
        assert len(section.splitlines()) > 4, name


def test_the_reference_does_not_depend_on_the_terminal() -> None:
    program = (
        "import sys; from shplan.cli.docs import reference\n"
        "sys.stdout.buffer.write(reference().encode())"
    )
    environment = {**os.environ, "COLUMNS": "40", "LC_ALL": "C", "TERM": "dumb"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, timeout=60
    )
    assert done.stdout.decode() == docs.reference()


def test_the_reference_shows_what_help_shows(run) -> None:
    """Also where a command has been used before in the same process."""
    shown = run("ledger", "verify", "--help").out.split("Options:")[1].split()
    section = docs.reference().split("## `shplan ledger verify`")[1].split("```")[1]
    assert section.split("Options:")[1].split() == shown
    assert "-h," in shown


def test_the_readme_has_the_same_exit_codes() -> None:
    assert docs.EXIT_CODES.split("\n\n")[1].strip() in README


def test_the_profile_in_the_readme_is_what_the_sandbox_prints() -> None:
    address = Address(url(8080))
    assert blocks("toml") == [address.as_toml() + "\n"]
    assert address.as_env() + "\n" in blocks("sh")


def test_the_environment_in_the_readme_is_a_valid_one(tmp_path: Path, run, monkeypatch) -> None:
    (text,) = (block for block in blocks("yaml") if block.startswith("# in shplan.yaml"))
    head = "apiVersion: shplan/v1\nkind: Project\nmetadata: {name: farm}\nspec:\n"
    body = "".join(f"  {line}\n" for line in text.splitlines())
    (tmp_path / "shplan.yaml").write_text(head + body)
    (tmp_path / "manifests").mkdir()
    monkeypatch.chdir(tmp_path)
    said = run("validate", "-e", "prod")
    assert said.code == 0, said.err
    assert run("validate", "-e", "nowhere").code == 1
