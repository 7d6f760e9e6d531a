"""
Two processes, two checkouts, one ledger, one server over a real port.

The first who comes to work is tried always; what else two may do to each other is slow here, and tried
quickly within one process by `laws/test_shared_ledger.py` and `engine/test_lease_of_a_walk.py`.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.test_job_commands import JOB, until_running
from tests.support.s3 import make_bucket, moto_served, no_aws, with_keys
from tests.support.served import Served, serving

PROJECT = """\
apiVersion: shplan/v1
kind: Project
metadata: {{name: demo}}
spec:
  defaultEnvironment: near
  environments:
    near: {{baseUrl: "{base}", tokenUrl: "{base}/oauth/token", ledger: "{ledger}"}}
"""
BESIDE = """\
---
apiVersion: shplan/v1
kind: ByocCollection
metadata: {name: beside}
spec: {name: Beside, s3Bucket: fields}
"""
# Until somebody turns the clock, a job runs for ever.
SLOW = {"batch_queued_s": 0.0, "batch_analysing_s": 0.0, "batch_processing_s": 36000.0}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path / "data") as sandbox:
        yield sandbox


_SLOW = ("s3", "postgresql")


@pytest.fixture(params=["directory", *(pytest.param(one, marks=pytest.mark.slow) for one in _SLOW)])
def ledger(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    no_aws(monkeypatch, tmp_path)
    if request.param == "directory":
        yield (tmp_path / "ledger").as_posix()
    elif request.param == "s3":
        with moto_served() as endpoint:
            with_keys(monkeypatch, endpoint)
            monkeypatch.setenv("AWS_REGION", "eu-central-1")
            make_bucket(endpoint, "ledgers")
            yield "s3://ledgers/demo"
    else:
        where = request.getfixturevalue("database")
        yield "postgresql://{user}@{host}:{port}/{dbname}".format_map(where)


Checkout = Callable[[str, str], Path]


@pytest.fixture
def checkout(
    tmp_path: Path, served: Served, ledger: str, monkeypatch: pytest.MonkeyPatch
) -> Checkout:
    for name in list(os.environ):
        if name.startswith(("SH_", "SHPLAN_")) or name == "CI":
            monkeypatch.delenv(name)
    monkeypatch.setenv("SH_CLIENT_ID", "sandbox")
    monkeypatch.setenv("SH_CLIENT_SECRET", "sandbox")

    def make(name: str, manifests: str) -> Path:
        root = tmp_path / name
        (root / "manifests").mkdir(parents=True)
        (root / "shplan.yaml").write_text(PROJECT.format(base=served.base, ledger=ledger))
        (root / "manifests" / "all.yaml").write_text(manifests)
        return root

    return make


def started(root: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "shplan", *arguments]
    return subprocess.Popen(
        command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def ran(root: Path, *arguments: str) -> tuple[int, str, str]:
    process = started(root, *arguments)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


APPLY = ("apply", "--auto-approve", "--log", "json")


def paid_once(root: Path, served: Served, *, pu: float) -> None:
    """One START, one payment, an intact ledger, nothing left to do."""
    assert served.control("meter", method="GET")["pu"] == pu
    assert [task["starts"] for task in served.control("batch", method="GET")["tasks"]] == [1]
    assert ran(root, "ledger", "verify")[0] == 0
    assert ran(root, "plan", "--detailed-exitcode")[0] == 0


@pytest.mark.slow
def test_while_the_first_waits_for_its_job_the_second_does_what_is_its_own(
    checkout: Checkout, served: Served
) -> None:
    served.configure(**SLOW)
    one, two = checkout("one", JOB), checkout("two", JOB + BESIDE)
    first = started(one, *APPLY)
    until_running(first)
    code, out, err = ran(two, *APPLY, "--no-wait")
    assert code == 0, out + err
    assert "1 created" in out
    served.tick(40000.0)
    out, err = first.communicate(timeout=120)
    assert first.returncode == 0, out + err
    paid_once(two, served, pu=_price(served))


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("ledger", ["directory"], indirect=True)
def test_a_process_that_is_killed_while_it_waits_holds_nobody_up(
    checkout: Checkout, served: Served
) -> None:
    served.configure(**SLOW)
    one, two = checkout("one", JOB), checkout("two", JOB + BESIDE)
    first = started(one, *APPLY)
    until_running(first)
    first.send_signal(signal.SIGKILL)
    first.communicate(timeout=60)
    served.tick(40000.0)
    code, out, err = ran(two, *APPLY)
    assert code == 0, out + err
    paid_once(two, served, pu=_price(served))


@pytest.mark.parametrize(
    "patience", [(), pytest.param(("--lock-timeout", "100s"), marks=pytest.mark.slow)]
)
def test_of_two_that_start_in_the_same_second_one_works(
    checkout: Checkout, served: Served, patience: tuple[str, ...]
) -> None:
    """The other leaves with 6 and names the first, or waits for it and finds nothing to do."""
    served.configure(**{**SLOW, "batch_processing_s": 1.0})
    roots = [checkout(name, JOB + BESIDE) for name in ("one", "two")]
    both = [started(root, *APPLY, *patience) for root in roots]
    said = [process.communicate(timeout=200) for process in both]
    codes = [process.returncode for process in both]
    assert 0 in codes, said
    assert set(codes) <= ({0, 4} if patience else {0, 4, 6}), said
    for code, (_, err) in zip(codes, said, strict=True):
        assert code != 6 or "is held by process" in err
    # Whoever did not come to its turn does it now.
    code, out, err = ran(roots[codes.index(max(codes))], *APPLY)
    assert code == 0, out + err
    paid_once(roots[0], served, pu=_price(served))


@pytest.mark.parametrize("ledger", ["directory"], indirect=True)
def test_of_two_projects_that_name_one_place_the_second_is_refused(
    checkout: Checkout, served: Served
) -> None:
    """To the second, everything of the first would be something that no manifest declares."""
    one, two = checkout("one", BESIDE), checkout("two", BESIDE.replace("beside", "mine"))
    assert ran(one, *APPLY)[0] == 0
    settings = two / "shplan.yaml"
    settings.write_text(settings.read_text().replace("name: demo", "name: other"))
    for command in (("plan",), ("status",), APPLY, ("destroy", "--auto-approve")):
        code, out, err = ran(two, *command)
        assert code == 1, (command, out, err)
        assert "ledger/foreign" in err
        assert "is the ledger of project demo, environment near" in err
    assert served.control("meter", method="GET")["pu"] == 1.0
    assert ran(two, "ledger", "verify")[0] == 1
    # A project that has another name by now says so, and it is its own.
    renamed = settings.read_text().replace("near: {", "near: {ledgerOf: demo/near, ")
    settings.write_text(renamed)
    (two / "manifests" / "all.yaml").write_text(BESIDE)
    code, out, err = ran(two, "plan", "--detailed-exitcode")
    assert code == 0, out + err
    assert ran(two, "ledger", "verify")[0] == 0


TILES = (
    BESIDE.removeprefix("---\n")
    + """\
---
apiVersion: shplan/v1
kind: ByocTiles
metadata: {name: beside}
spec:
  collection: "{{ ref('ByocCollection/beside').id }}"
  tiles: [{path: a/(BAND).tiff}, {path: b/(BAND).tiff}]
"""
)


def _end_the_session(url: str) -> None:
    """Once the intent of the tiles is written, the database ends the session that has the lease."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as other:
        written = "SELECT count(*) FROM shplan.ledger_entry WHERE encode(line, 'escape') ~ %s"
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(psycopg.errors.UndefinedTable):
                if other.execute(written, ['"ByocTiles/beside".*"intent"']).fetchone() == (1,):
                    break
            assert time.monotonic() < deadline
            time.sleep(0.02)
        locks = "FROM pg_locks WHERE locktype = 'advisory' AND granted"
        ended = other.execute(f"SELECT pg_terminate_backend(pid, 60000) {locks}").fetchall()
        assert ended == [(True,)]


@pytest.mark.slow
@pytest.mark.parametrize("ledger", ["postgresql"], indirect=True)
def test_what_the_database_ends_stops_before_its_next_request(
    checkout: Checkout, served: Served, ledger: str
) -> None:
    """Somebody else may have the lease at once: nothing is sent on the strength of an old look."""
    served.fault("latency", method="POST", path=".*/tiles", seconds=12.0)
    root = checkout("one", TILES)
    first = started(root, *APPLY, "--parallelism", "1", "--format", "json")
    _end_the_session(ledger)
    out, err = first.communicate(timeout=120)
    assert first.returncode == 3, out + err
    report = json.loads(out)
    assert [(one["address"], one["ending"]) for one in report["results"]] == [
        ("ByocCollection/beside", "done"),
        ("ByocTiles/beside", "unknown"),
    ]
    assert "the lease is lost" in report["ledgerFailed"]
    assert "ledger/unusable" in err
    assert len([one for one in served.requests("/tiles") if one["method"] == "POST"]) == 1
    code, out, err = ran(root, *APPLY)
    assert code == 3, out + err
    assert served.control("meter", method="GET")["pu"] == 3.0


def _price(served: Served) -> float:
    """What the task costs by the sandbox's own figure, and one request that makes a collection."""
    (task,) = served.control("batch", method="GET")["tasks"]
    return float(task["costPU"] if "costPU" in task else task["pu"]) + 1.0
