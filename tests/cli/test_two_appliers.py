"""
Two processes, two checkouts, one ledger, one server over a real port.

The first who comes to work is tried always; what else two may do to each other is slow here, and tried
quickly within one process by `laws/test_shared_ledger.py` and `engine/test_lease_of_a_walk.py`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
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


def _price(served: Served) -> float:
    """What the task costs by the sandbox's own figure, and one request that makes a collection."""
    (task,) = served.control("batch", method="GET")["tasks"]
    return float(task["costPU"] if "costPU" in task else task["pu"]) + 1.0
