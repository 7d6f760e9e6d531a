"""`receipts:` by the command line: what is committed, what a lost ledger costs, and what is said."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from tests.cli.conftest import Project, Said
from tests.cli.test_job_commands import JOB

PROJECT = """\
apiVersion: shplan/v1
kind: Project
metadata: {name: demo}
spec:
  receipts: ./receipts/
  defaultEnvironment: sandbox
  environments:
    sandbox: {deployment: sandbox}
    Second: {deployment: sandbox}
"""


def prepared(project: Project) -> None:
    (project.root / "shplan.yaml").write_text(PROJECT)
    project.manifest.write_text(JOB)
    settings = project.root / ".shplan" / "sandbox" / "settings.json"
    settings.parent.mkdir(parents=True, exist_ok=True)
    instant = ("batch_queued_s", "batch_analysing_s", "batch_processing_s")
    settings.write_text(json.dumps(dict.fromkeys(instant, 0.0)))


def applied(project: Project, *more: str) -> Said:
    said = project.run("apply", "--auto-approve", *more)
    assert said.code == 0, said.out + said.err
    return said


def lose(project: Project) -> None:
    shutil.rmtree(project.root / ".shplan" / "ledger")


def files(project: Project) -> list[Path]:
    return sorted((project.root / "receipts").rglob("*.json"))


def planned(project: Project, *more: str) -> Any:
    said = project.run("plan", "--format", "json", *more)
    assert said.code == 0, said.err
    (change,) = json.loads(said.out)["changes"]
    return change


def test_a_lost_ledger_is_made_up_for_by_what_was_committed(project: Project) -> None:
    prepared(project)
    applied(project)
    (kept,) = files(project)
    told = json.loads(kept.read_text())
    assert told["address"] == "BatchProcess/ndvi"
    assert (told["project"], told["environment"]) == ("demo", "sandbox")
    assert told["deployment"].startswith("sandbox:")
    assert kept.parent.relative_to(project.root).as_posix() == "receipts/sandbox/BatchProcess/ndvi"
    lose(project)
    text = project.run("plan").out
    where = kept.relative_to(project.root).as_posix()
    assert "adopt: a receipt file says so, and the ledger does not know it" in text
    assert f"{where} has its receipt: nothing is paid again" in " ".join(text.split())
    assert project.run("plan", "-o", "plan.json").code == 0
    said = project.run("apply", "plan.json")
    assert said.code == 0, said.out + said.err
    assert project.run("plan", "--detailed-exitcode").code == 0
    shown = project.run("ledger", "export").out.splitlines()
    events = [json.loads(line)["event"] for line in shown]
    assert events == ["genesis", "receipt", "adopt"]
    assert project.run("ledger", "verify").code == 0
    # A row of the run, a row of the address: both can be read as a table as well.
    assert project.run("ledger", "export", "--format", "csv").code == 0
    assert "DONE" in project.run("why", "BatchProcess/ndvi", "--format", "json").out


def test_each_environment_has_its_own(project: Project) -> None:
    prepared(project)
    applied(project)
    applied(project, "-e", "Second")
    homes = {path.relative_to(project.root / "receipts").parts[0] for path in files(project)}
    assert len(homes) == 2
    # Not only its capital tells the second from another one.
    assert "sandbox" in homes
    assert "Second" not in homes
    lose(project)
    own = files(project)[0]
    other = next(path for path in files(project) if path.parts[-4] != own.parts[-4])
    for path in files(project):
        if path.parts[-4] == "sandbox":
            path.write_bytes(next(p for p in (own, other) if p.parts[-4] != "sandbox").read_bytes())
    said = project.run("plan")
    assert (
        "does not count as a receipt: it is of environment Second, and this is sandbox" in said.err
    )
    assert "a receipt file says so" not in said.out


def test_what_does_not_count_is_told_on_stderr_and_in_json(project: Project) -> None:
    prepared(project)
    applied(project)
    (kept,) = files(project)
    lose(project)
    kept.write_text(kept.read_text().replace('"costPu"', '"costpu"').replace("EPSG", "ESPG"))
    told = json.loads(kept.read_text())
    told["parts"]["generation"] = 7
    kept.write_text(json.dumps(told))
    said = project.run("plan", "--log", "json")
    events = [json.loads(line) for line in said.err.splitlines() if line.startswith("{")]
    (notice,) = [one for one in events if one.get("event") == "ReceiptFileNotice"]
    assert notice["path"] == kept.relative_to(project.root).as_posix()
    assert notice["message"].endswith("does not hold what gives its key: it was changed")


def test_a_recovered_ledger_says_how_many_receipts_lie_there(project: Project) -> None:
    prepared(project)
    applied(project)
    (journal,) = (project.root / ".shplan" / "ledger" / "sandbox").glob("*.jsonl")
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:1]))
    said = project.run("ledger", "recover")
    assert said.code == 0, said.out + said.err
    assert (
        "1 receipt file lies in receipts/sandbox/: what they say is paid is not paid again."
        in said.out
    )
    (kept,) = files(project)
    assert f"{kept.relative_to(project.root).as_posix()} has its receipt" in " ".join(
        project.run("plan").out.split()
    )


def test_a_sandbox_that_was_reset_has_forgotten_its_receipts(project: Project) -> None:
    """What is in the files is of another instance: history, and no reason for a warning."""
    prepared(project)
    applied(project)
    (kept,) = files(project)
    before = kept.read_bytes()
    shutil.rmtree(project.root / ".shplan")
    prepared(project)
    said = project.run("plan")
    assert "run: this request never ran" in said.out
    assert "receipt" not in said.out + said.err
    applied(project)
    (after,) = files(project)
    assert after == kept
    assert json.loads(after.read_text())["deployment"] != json.loads(before)["deployment"]
