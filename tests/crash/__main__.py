"""
`python -m tests.crash`: kill the client at its boundaries, run again, compare, count.

    python -m tests.crash                                  thousands; `--thin 1` leaves none out
    python -m tests.crash 'tiles-*' 'job-run/plain'        of these cases
    python -m tests.crash 'job-run/plain/directory/kept@request:7:served'
    python -m tests.crash --sample 20 --most 6             the fixed sample that CI runs
    python -m tests.crash --minutes 20                     as many as that takes, of every kind first

Who is interrupted ends the crash at hand, and says what was tried.

A program of its own because it forks: there must be no thread and no event loop here.
"""

from __future__ import annotations

import argparse
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from tests.crash import choice, forked
from tests.crash.choice import Wanted
from tests.crash.grounds import GROUNDS
from tests.crash.stand import Stand
from tests.crash.tally import Tally
from tests.crash.trials import Bench, Case, TrialError

# No test causes a loss of power, so nothing needs a disk.
MEMORY = Path("/dev/shm")


class End:
    """
    When no further crash is begun: at a time, or because a signal says so.

    Args:
        at: on the monotonic clock
    """

    def __init__(self, at: float) -> None:
        self._at = at
        self.told = 0
        """The code with which to end for a signal."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._tell)

    def has_come(self) -> bool:
        return self.told != 0 or time.monotonic() > self._at

    def _tell(self, number: int, _frame: object) -> None:
        self.told = 128 + number


def main() -> int:
    given = _arguments()
    wanted = Wanted(tuple(given.only), thin=given.thin, most=given.most, twice=given.twice)
    cases = wanted.cases()
    if given.sample or given.minutes:
        cases = choice.sample(cases, about=given.sample or len(cases))
    if not cases:
        _say("no case fits; they are named scenario/setting/ground/kept or lost")
        return 2
    began = time.monotonic()
    end = End(began + 60 * given.minutes if given.minutes else math.inf)
    home = MEMORY if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="crash-", dir=home) as name:
        if given.share is None and given.jobs > 1 and len(cases) > 1:
            tally = _side_by_side(Path(name), given.jobs, end)
        else:
            share, shares = (int(one) for one in (given.share or "0/1").split("/"))
            tally = _try_all(Path(name), cases[share::shares], wanted, end)
    if given.tally is not None:
        tally.write(given.tally)
    else:
        minutes = (time.monotonic() - began) / 60
        _say("\n".join(tally.lines()))
        _say(f"{tally.tried['crashes'] / minutes:.0f} a minute.")
    if tally.failures or not tally.tried["crashes"]:
        return 1
    return end.told


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.crash")
    parser.add_argument("only", nargs="*", help="patterns of cases, or one case@strike")
    parser.add_argument("--thin", type=int, default=choice.SHARE_OF_SETTINGS)
    parser.add_argument("--most", type=int, help="crashes of one case")
    parser.add_argument("--twice", action="store_true", help="kill the next run as well")
    parser.add_argument("--sample", type=int, help="so many cases, the same every time")
    parser.add_argument("--minutes", type=float, help="begin no further crash after so many")
    parser.add_argument("--jobs", type=int, default=1, help="so many sandboxes side by side")
    parser.add_argument("--share", help="of the cases, e.g. 0/2")
    parser.add_argument("--tally", type=Path, help="write the counts here, as JSON")
    return parser.parse_args()


def _side_by_side(home: Path, jobs: int, end: End) -> Tally:
    command = [sys.executable, "-m", "tests.crash", *sys.argv[1:]]
    files = [home / f"tally-{number}" for number in range(jobs)]
    running = [
        subprocess.Popen([*command, "--share", f"{number}/{jobs}", "--tally", str(file)])
        for number, file in enumerate(files)
    ]
    total = Tally()
    while any(process.poll() is None for process in running):
        if end.told:
            # They may have been told as well; who is told twice does the same.
            for process in running:
                process.terminate()
        time.sleep(0.2)
    for file in files:
        if file.exists():
            total.add(Tally.read(file))
        else:
            total.failures.append("a part of the harness ended by itself; its words are above")
    return total


def _try_all(home: Path, cases: list[Case], wanted: Wanted, end: End) -> Tally:
    forked.prepare()
    tally = Tally()
    with ExitStack() as closing:
        stand = Stand(home)
        closing.callback(stand.close)
        grounds = {}
        for number, case in enumerate(cases, 1):
            if end.has_come():
                tally.left += len(cases) - number + 1
                break
            if case.ground not in grounds:
                grounds[case.ground] = GROUNDS[case.ground](home, stand.sandbox.s3_url)
                closing.callback(grounds[case.ground].close)
            before = time.monotonic()
            tried = _try_case(Bench, home, stand, grounds[case.ground], case, wanted, tally, end)
            _say(f"[{number}/{len(cases)}] {case}: {tried}, {time.monotonic() - before:.1f} s")
    return tally


def _try_case(
    bench_of: type[Bench],
    home: Path,
    stand: Stand,
    ground: object,
    case: Case,
    wanted: Wanted,
    tally: Tally,
    end: End,
) -> str:
    try:
        bench = bench_of(home, stand, ground, case)  # type: ignore[arg-type]
    except TrialError as error:
        _say(f"{case}\n{_indented(error)}")
        tally.failures.append(str(case))
        return "not even undisturbed"
    tried = survived = 0
    for deaths in wanted.deaths(case, list(bench.strikes())):
        if end.has_come():
            break
        name = f"{case}@{'+'.join(str(strike) for strike in deaths)}"
        try:
            if not bench.try_one(deaths, lost=case.lost):
                tally.missed += 1
                continue
        except TrialError as error:
            _say(f"{name}\n  {bench.named(deaths)}\n{_indented(error)}")
            tally.failures.append(name)
            tally.count(case, survived=False)
        else:
            survived += 1
            tally.count(case, survived=True)
        tried += 1
    return f"{tried} tried, {survived} survived"


def _indented(error: TrialError) -> str:
    return "\n".join(f"  {line}" for line in str(error).splitlines()[:30])


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
