"""What is answered to a command line in the words of another tool, or with a slip in it."""

from __future__ import annotations

import re

import click
import pytest

from shplan.cli import usage
from shplan.cli.exit_door import through
from shplan.cli.main import COMMANDS, program
from tests.cli.conftest import Project


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("plan --target=BatchProcess/ndvi", "--select ADDRESS"),
        ("plan -target=BatchProcess/ndvi", "--select ADDRESS"),
        ("plan BatchProcess/ndvi", "--select BatchProcess/ndvi"),
        ("plan -out=plan.json", "write `--out=plan.json`"),
        ("plan -var a=b", "write `--var`"),
        ("plan --env prod", "--environment NAME"),
        ("plan --refresh-only", "--drift"),
        ("plan --selct X", "did you mean `--select`?"),
        ("apply -auto-approve", "write `--auto-approve`"),
        ("apply -y", "--auto-approve"),
        ("apply --dry-run", "shplan plan"),
        ("apply plan.jsn", "`shplan plan -o FILE` saves a plan"),
        ("apply BatchProcess/ndvi", "--select BatchProcess/ndvi"),
        ("apply -f manifests/ndvi.yaml", "--select path:FILE"),
        ("aply", "did you mean `shplan apply`?"),
        ("state list", "shplan status"),
        ("version", "shplan --version"),
        ("ledger verfy", "verify"),
        ("ledger verify --anchr X", "did you mean `--anchor`?"),
        ("plan --format yaml", "'markdown'"),
        ("why", "ADDRESS"),
        ("nonsense", "shplan --help"),
    ],
)
def test_the_answer_names_what_is_meant(
    typed: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = through(program, typed.split())
    said = capsys.readouterr()
    # Never 2, which means that changes are pending.
    assert (code, said.out) == (1, "")
    assert re.match(r"error\[usage/(command|option|arguments)\]: ", said.err)
    assert "\n  hint: " in said.err
    assert told in said.err


def test_no_file_is_written_under_half_the_name_of_an_option(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    root = project.root
    assert through(program, ["plan", "-out=plan.json", "--project", str(root)]) == 1
    assert "write `--out=plan.json`" in capsys.readouterr().err
    assert not [path for path in root.rglob("*") if path.name.startswith("ut=")]


@pytest.mark.parametrize("typed", ["-oplan.json", "-vv", "-eprod", "-- -out=x", "-o out"])
def test_short_options_and_what_follows_two_dashes_are_left_alone(typed: str) -> None:
    command = _command("plan")
    usage.refuse_one_dash(typed.split(), command, click.Context(command))


def test_what_is_recommended_is_there() -> None:
    hints = [
        *usage.COMMANDS_ELSEWHERE.values(),
        *(hint for _, hint in usage.OPTIONS_ELSEWHERE.values()),
    ]
    spans = [span for hint in hints for span in re.findall(r"`([^`]+)`", hint)]
    shown = [span.split() for span in spans if span.startswith("shplan ")]
    assert len(shown) > 20
    for _, name, *rest in shown:
        assert name in {*COMMANDS, "COMMAND", "--help", "--version"}, name
        if name not in COMMANDS:
            continue
        command: click.Command = _command(name)
        if isinstance(command, click.Group) and rest:
            command = command.commands[rest.pop(0)]
        options = {one for parameter in command.params for one in parameter.opts}
        assert {one for one in rest if one.startswith("-")} <= options, (name, rest)
    every = {
        one for name in COMMANDS for parameter in _command(name).params for one in parameter.opts
    }
    assert {partner for partner, _ in usage.OPTIONS_ELSEWHERE.values()} <= {*every, "--no-wait"}
    # A word that is known by now is no word of other tools.
    assert not {*usage.COMMANDS_ELSEWHERE} & {*COMMANDS}


def _command(name: str) -> click.Command:
    command = program.get_command(click.Context(program), name)  # type: ignore[attr-defined]
    assert command is not None
    return command


@pytest.mark.parametrize("typed", ["validate manifests", "plan --project manifests"])
def test_a_directory_below_a_project_is_none(typed: str, project: Project) -> None:
    """It is not taken for the one above, which may be another's; that one is named."""
    said = project.run(*typed.split())
    assert said.code == 1
    assert f"leave `manifests` out, or name {project.root}" in said.err
