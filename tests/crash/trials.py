"""
One trial: run a scenario up to its last command, kill that one, run again, compare.

What is compared is the end of the same commands without any death: the same objects, the same
processing units, one START for each run key and attempt, a ledger that verifies, nothing to plan.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import orjson

from shplan.cli.options import Options
from shplan.cli.project import load_project
from shplan.manifest.variables import VariableInputs
from tests.crash.forked import Ended, run
from tests.crash.grounds import Ground
from tests.crash.judging import differences
from tests.crash.scenarios import FILES, SCENARIOS, SETTINGS, Lost, Manifest, Scenario, Step
from tests.crash.stand import EndState, Stand, environment
from tests.crash.strikes import Boundary, Place, Strike

MOST_RUNS = 4
# Done; partly done, and the same command resumes; a server has not yet noticed that a lock is nobody's.
_ON_THE_WAY = (0, 3, 6)
# An outcome is unknown and a person must decide.
UNDECIDED = 7


class TrialError(AssertionError):
    """What was promised did not hold."""


@dataclass(frozen=True, slots=True)
class Case:
    """A scenario under a setting, on a place for the ledger, which is kept or lost."""

    scenario: str
    setting: str
    ground: str
    lost: bool

    def __str__(self) -> str:
        kept = "lost" if self.lost else "kept"
        return f"{self.scenario}/{self.setting.replace(' ', '-')}/{self.ground}/{kept}"


class Bench:
    """One scenario under one setting on one ground, prepared up to the struck command."""

    def __init__(self, home: Path, stand: Stand, ground: Ground, case: Case) -> None:
        self._home = home
        self._stand = stand
        self._ground = ground
        self._scenario: Scenario = SCENARIOS[case.scenario]
        self._settings = SETTINGS[case.setting][1]
        self._root = home / "project"
        self._prepare()
        self._put_back = self._saved()
        self.calm = self._undisturbed()

    @property
    def boundaries(self) -> tuple[Boundary, ...]:
        """What the struck command comes by when nobody dies."""
        return self.calm[1]

    def strikes(self) -> Iterator[Strike]:
        for boundary in self.boundaries:
            yield from boundary.strikes()

    def named(self, deaths: Sequence[Strike]) -> str:
        """Say in words where that is."""
        return "; then ".join(self._named(strike) for strike in deaths)

    def _named(self, strike: Strike) -> str:
        found = (b for b in self.boundaries if (b.place, b.number) == (strike.place, strike.at))
        what = next((boundary.what for boundary in found), "a boundary that is not there")
        return f"{strike.place.value} {strike.at} ({what}), {strike.moment.value}"

    def try_one(self, deaths: Sequence[Strike], *, lost: bool) -> bool:
        """
        Kill there, one run after the other, run again, and compare.

        Returns:
            whether somebody died; what runs side by side does not come by the same every time

        Raises:
            TrialError: what was promised did not hold
        """
        self._put_back()
        killed = 0
        lost_answers = 0
        for strike in deaths:
            died = self._run([self._command()], strike=strike)
            # Who runs after a death may be told so, as below; who dies first has nothing to say.
            if not died.killed and died.code not in (_ON_THE_WAY if killed else (0,)):
                raise TrialError(f"ended with {died.code}, and was not killed:\n{died.said}")
            killed += died.killed
            # Who dies in a request, or before what came is written whole, has lost an answer.
            may_lose = strike.place is not Place.WRITE or self._scenario.side_by_side
            lost_answers += died.killed and may_lose
        commands = [self._command()]
        if lost:
            commands = self._after_loss()
        elif self._scenario.decides and self._run([("plan",)]).code == UNDECIDED:
            self._import(self._scenario.decides)
        again = self._run([*commands, *self._checks()], patience=len(commands) * (MOST_RUNS,))
        odd = [code for code in again.codes if code not in _ON_THE_WAY]
        if again.code != 0 or odd:
            raise TrialError(f"does not converge, {again.codes}:\n{again.said}")
        further = lost_answers + (1 if lost else 0)
        given = len(deaths) + len(again.codes)
        found = differences(
            self.calm[0],
            self._stand.end_state(),
            lost=lost,
            further_pu=further * sum(self._scenario.pays_again.values())
            + given * self._scenario.reads_pu,
        )
        if told := "\n".join(found):
            raise TrialError(f"{told}\n{again.said}")
        return killed > 0

    def _prepare(self) -> None:
        self._stand.fresh(self._settings)
        self._ground.lose()
        shutil.rmtree(self._root, ignore_errors=True)
        (self._root / "manifests").mkdir(parents=True)
        for name, content in FILES.items():
            (self._root / name).write_text(content)
        for bucket, folders in (("fields", "abcd"), ("other", "acd")):
            self._stand.write_tiles(bucket, *folders)
        self._stand.write_cubes("cubes", "a.zarr", "b.zarr")
        *before, last = self._scenario.steps
        for step in before:
            self._begin(step)
            ended = self._run([self._filled(step.command)])
            # A run that is to fail, so that another one repairs it, says so with 3.
            if ended.code not in (0, 3):
                raise TrialError(f"the scenario itself ended with {ended.code}:\n{ended.said}")
        self._begin(last)

    def _begin(self, step: Step) -> None:
        if step.before is not None:
            step.before(self._stand)
        lagging = {"listLag": "10s"} if self._settings.get("list_lag_s") else {}
        base = self._stand.base_url
        near = {
            "baseUrl": base,
            "tokenUrl": f"{base}/oauth/token",
            "ledger": self._ground.url(),
            # To ask the catalogue costs something each time that is planned, and is no part of this.
            "acquisitions": "assumed",
            **lagging,
        }
        spec = {"defaultEnvironment": "near", "environments": {"near": near}, **step.project}
        project = {"apiVersion": "shplan/v1", "kind": "Project", "metadata": {"name": "crash"}}
        (self._root / "shplan.yaml").write_text(_yaml({**project, "spec": spec}))
        (self._root / "manifests" / "all.yaml").write_text(_yaml(*step.manifests))
        # Read here once: the checks that were made ready for it are inherited.
        load_project(Options(project=self._root), VariableInputs())

    def _saved(self) -> Callable[[], None]:
        states = [self._stand.save(), self._ground.save(), self._project()]

        def put_back() -> None:
            for one in states:
                one()

        return put_back

    def _project(self) -> Callable[[], None]:
        """Keep the files of the project; what answers have made of it is taken away again."""
        kept = {path: path.read_bytes() for path in self._root.rglob("*") if path.is_file()}

        def put_back() -> None:
            for path in self._root.rglob("*"):
                if path.is_file() and path not in kept and ".shplan" not in path.parts:
                    path.unlink()
            for path, content in kept.items():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)

        return put_back

    def _undisturbed(self) -> tuple[EndState, tuple[Boundary, ...]]:
        # On its own first: boundaries are counted for the struck command alone.
        ended = self._run([self._command()])
        if ended.code != 0:
            raise TrialError(f"undisturbed it ended with {ended.code}:\n{ended.said}")
        checked = self._run(self._checks())
        if checked.code != 0:
            raise TrialError(f"undisturbed, and yet {checked.codes}:\n{checked.said}")
        return self._stand.end_state(), ended.boundaries

    def _command(self) -> tuple[str, ...]:
        return self._filled(self._scenario.steps[-1].command)

    def _checks(self) -> list[tuple[str, ...]]:
        destroying = self._command()[0] == "destroy"
        plan = ("plan", "--detailed-exitcode", *(("--destroy",) if destroying else ()))
        return [plan, ("ledger", "verify")]

    def _filled(self, command: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(self._names().get(word, word) for word in command)

    def _names(self) -> dict[str, str]:
        dump = self._stand.sandbox.control("GET", "dump")
        rows: Any = [
            row
            for table in ("collections", "zarr_collections", "batch_collections")
            for row in cast("Any", dump)[table]
        ]
        tasks: Any = dump["batch_tasks"]
        others: dict[str, Any] = {
            "statistics": dump["statistics_tasks"],
            "image": dump["async_requests"],
        }
        return {
            **{f"{{{row['name']}}}": row["id"] for row in rows},
            **({"{task}": tasks[0]["id"]} if tasks else {}),
            **{f"{{{name}}}": rows[0]["id"] for name, rows in others.items() if rows},
        }

    def _after_loss(self) -> list[tuple[str, ...]]:
        """The ledger is lost; a person imports what is there, and gives the command again."""
        self._ground.lose()
        after = self._scenario.lost
        assert isinstance(after, Lost)
        self._import(after.imports)
        return list(after.commands) or [self._command()]

    def _import(self, those: tuple[tuple[str, str], ...]) -> None:
        names = self._names()
        for address, name in those:
            if f"{{{name}}}" in names:
                self._run([("import", address, names[f"{{{name}}}"])])

    def _run(self, commands: list[tuple[str, ...]], **more: Any) -> Ended:
        return run(
            commands,
            root=self._root,
            base_url=self._stand.base_url,
            ground=self._ground,
            environment={
                **environment(),
                **(self._stand.buckets_environment() if self._scenario.reads_buckets else {}),
                **self._ground.environment(),
                "HOME": str(self._home),
            },
            **more,
        )


def _yaml(*documents: Manifest) -> str:
    # JSON is YAML.
    return "\n---\n".join(
        orjson.dumps(one, option=orjson.OPT_INDENT_2).decode() for one in documents
    )
