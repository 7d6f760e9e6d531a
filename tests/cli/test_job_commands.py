"""Jobs by the command line: interrupted and resumed, collected, recovered, and asked about."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import time

import pytest

from shplan.cli.clock import SystemClock
from shplan.ledger.backends.directory import DirectoryBackend
from shplan.ledger.journal import Journal
from tests.cli.conftest import Project
from tests.cli.test_interrupt import later, start

JOB = """\
apiVersion: shplan/v1
kind: BatchProcess
metadata: {name: ndvi}
spec:
  processRequest:
    input:
      bounds: {bbox: [14.5, 46.05, 14.513, 46.06]}
      data:
        - type: sentinel-2-l2a
          dataFilter: {timeRange: {from: "2005-06-01T00:00:00Z", to: "2005-06-02T00:00:00Z"}}
    output: {responses: [{identifier: default, format: {type: image/tiff}}]}
    evalscript: |
      //VERSION=3
      function setup() { return {input: ["B04"], output: {bands: 1}}; }
      function evaluatePixel(sample) { return [sample.B04]; }
  input: {type: tiling-grid, id: 0, resolution: 60}
  output:
    type: raster
    delivery: {s3: {url: s3://results/ndvi, iamRoleARN: "arn:aws:iam::123456789012:role/r"}}
run: {maxPu: 500}
"""
DAY_S = {"batch_queued_s": 0.0, "batch_analysing_s": 0.0, "batch_processing_s": 3600.0}


def prepared(project: Project, text: str = JOB) -> None:
    """A project with one job, which takes an hour of the sandbox's time."""
    project.manifest.write_text(text)
    (project.root / "shplan.yaml").write_text(
        (project.root / "shplan.yaml")
        .read_text()
        .replace(
            "\"{{ ref('ByocCollection/fields').id }}\"", "\"{{ ref('BatchProcess/ndvi').id }}\""
        )
    )
    settings = project.root / ".shplan" / "sandbox" / "settings.json"
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text(json.dumps(DAY_S))


def until_running(process: subprocess.Popen[str]) -> None:
    assert process.stderr is not None
    deadline = time.monotonic() + 60
    for line in process.stderr:
        assert time.monotonic() < deadline
        said = json.loads(line) if line.startswith("{") else {}
        if said.get("event") == "Waiting" and "is running" in said["reason"]:
            return
    raise AssertionError("it never ran")


def cost(project: Project) -> float:
    shown = json.loads(project.run("ledger", "show", "--format", "json").out)
    entries = shown if isinstance(shown, list) else shown["entries"]
    return sum(1 for one in entries if one["event"] == "intent" and one["operation"] == "start")


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("signals", [(signal.SIGTERM,), (signal.SIGINT, signal.SIGINT)])
def test_a_run_interrupted_while_it_is_waited_for_is_resumed(
    project: Project, signals: tuple[int, ...]
) -> None:
    prepared(project)
    process = start(project.root)
    until_running(process)
    for number in signals:
        process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, out + err
    assert "Traceback" not in err
    assert project.run("ledger", "verify").code == 0
    later(project)
    again = project.run("apply", "--auto-approve")
    assert again.code == 0, again.out + again.err
    assert project.run("plan", "--detailed-exitcode").code == 0
    assert cost(project) == 1


def test_a_run_is_left_collected_and_asked_about(project: Project) -> None:
    prepared(project)
    left = project.run("apply", "--auto-approve", "--no-wait")
    assert left.code == 0, left.out + left.err
    assert "running" in project.run("status").out
    # It only runs on: nothing is pending.
    assert project.run("plan", "--detailed-exitcode").code == 0
    later(project)
    assert project.run("plan", "--detailed-exitcode").code == 2
    assert project.run("apply", "--auto-approve").code == 0
    task = project.run("output", "collection").out.strip()
    assert task
    why = project.run("why", "BatchProcess/ndvi")
    assert (why.code, "sha256:" in why.out) == (0, True)
    assert project.run("import", "BatchProcess/ndvi", "no-such-task").code == 1
    imported = project.run("import", "BatchProcess/ndvi", task)
    assert imported.code == 0, imported.err
    assert cost(project) == 1


def test_estimate_and_actual_stand_side_by_side(project: Project) -> None:
    """In the receipt, and wherever that is asked about; also where another apply collects the run."""
    prepared(project)
    settings = project.root / "shplan.yaml"
    settings.write_text(
        settings.read_text().replace(
            "\"{{ ref('BatchProcess/ndvi').id }}\"", "\"{{ ref('BatchProcess/ndvi').estimatePu }}\""
        )
    )
    assert project.run("apply", "--auto-approve", "--no-wait").code == 0
    later(project)
    assert project.run("apply", "--auto-approve").code == 0
    exported = [json.loads(one) for one in project.run("ledger", "export").out.splitlines()]
    receipts = [one["settlement"]["receipt"] for one in exported if one["event"] == "receipt"]
    assert [(one["costPu"], one["estimatePu"]) for one in receipts] == [(100, [100, 100, 100])]
    assert [
        factor["label"].split(":")[0] for factor in receipts[0]["estimateTerms"][0]["factors"]
    ] == [
        "area",
        "bands",
        "format",
        "samples",
        "batch discount",
    ]
    told = "attempt 1 is done: 100 PU (estimated 100 PU)"
    why = project.run("why", "BatchProcess/ndvi").out
    assert told in why
    assert "    billed: 100 PU\n    estimated: 100 PU\n      1 x " in why
    shown = json.loads(project.run("why", "BatchProcess/ndvi", "--format", "json").out)[0]
    assert shown["receipt"]["estimateTerms"] == receipts[0]["estimateTerms"]
    assert shown["receipt"]["costPU"] == 100
    rows = {
        row["address"]: row for row in json.loads(project.run("status", "--format", "json").out)
    }
    assert told in rows["BatchProcess/ndvi"]["detail"]
    assert rows["BatchProcess/ndvi"]["costPU"] == 100
    assert rows["BatchProcess/ndvi"]["estimatePU"]["maximum"] == 100
    assert [address for address, row in rows.items() if "costPU" in row] == ["BatchProcess/ndvi"]
    output = json.loads(project.run("output", "collection").out)
    assert output == {"expected": 100, "maximum": 100, "minimum": 100}


def test_who_waited_long_enough_is_told_and_the_task_goes_on(project: Project) -> None:
    prepared(project, JOB.replace("maxPu: 500", "maxPu: 500, timeout: 1s"))
    given_up = project.run("apply", "--auto-approve")
    assert given_up.code == 3
    assert "timeout" in given_up.out + given_up.err
    later(project)
    assert project.run("apply", "--auto-approve").code == 0
    assert cost(project) == 1


def test_a_recovered_ledger_still_knows_what_ran(project: Project) -> None:
    prepared(project)
    assert project.run("apply", "--auto-approve", "--no-wait").code == 0
    later(project)
    assert project.run("apply", "--auto-approve").code == 0
    (segment, *_) = sorted((project.root / ".shplan" / "ledger").rglob("*.jsonl"))
    lines = segment.read_bytes().splitlines(keepends=True)
    # Somebody has changed an entry before the receipt.
    changed = [lines[0], lines[1].replace(b"BatchProcess", b"BatchProcesS"), *lines[2:]]
    assert changed != lines
    segment.write_bytes(b"".join(changed))
    assert project.run("ledger", "verify").code == 1
    recovered = project.run("ledger", "recover")
    assert recovered.code == 0, recovered.out + recovered.err
    assert project.run("ledger", "verify").code == 0
    assert project.run("plan", "--detailed-exitcode").code == 0
    exported = project.run("ledger", "export").out
    assert '"receipt"' in exported


def test_ignoring_changes_of_a_job_is_an_error_with_its_place(project: Project) -> None:
    named = "metadata: {name: ndvi, lifecycle: {ignoreChanges: [description]}}"
    prepared(project, JOB.replace("metadata: {name: ndvi}", named))
    said = project.run("validate")
    assert said.code == 1
    assert "fields.yaml:3:" in said.err + said.out
    assert "ignoreChanges" in said.err + said.out


def test_a_task_is_deleted_by_no_option(project: Project) -> None:
    """The service has no such thing."""
    prepared(project, JOB.replace("maxPu: 500", "maxPu: 500, onRemove: delete"))
    assert project.run("validate").code == 1


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_what_runs_runs_on_where_the_ledger_cannot_be_had_again(project: Project) -> None:
    """It is waited for, for half a minute; then the next apply collects the job."""
    prepared(project)
    process = start(project.root)
    until_running(process)
    home = project.root / ".shplan" / "ledger" / "sandbox"
    other = Journal(DirectoryBackend(home), clock=SystemClock(), actor={"user": "bob"})
    lease = other.lease(timeout_s=10)
    asyncio.run(lease.__aenter__())
    try:
        later(project)
        out, err = process.communicate(timeout=120)
    finally:
        asyncio.run(lease.__aexit__(None, None, None))
    assert process.returncode == 6, out + err
    assert "What was started runs on" in out
    assert f"is held by process {os.getpid()} of bob" in err
    assert project.run("apply", "--auto-approve").code == 0
    assert project.run("plan", "--detailed-exitcode").code == 0
    assert cost(project) == 1


@pytest.mark.parametrize(
    ("setting", "words"),
    [("catalogue", "as the catalogue lists them"), ("assumed", "one a day at most")],
)
def test_the_catalogue_is_asked_where_the_environment_lets_it(
    project: Project, setting: str, words: str
) -> None:
    orbits = JOB.replace("output: {bands: 1}", 'output: {bands: 1}, mosaicking: "ORBIT"')
    prepared(project, orbits.replace("sample.B04", "sample.length").replace("2005-", "2024-"))
    settings = project.root / "shplan.yaml"
    environment = f"  environments: {{sandbox: {{deployment: sandbox, acquisitions: {setting}}}}}\n"
    settings.write_text(settings.read_text().replace("spec:\n", f"spec:\n{environment}", 1))
    why = project.run("why", "BatchProcess/ndvi")
    assert why.code == 0, why.err
    assert words in why.out
