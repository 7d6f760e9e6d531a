"""Several people pull at once: what each has pinned is there afterwards."""

from __future__ import annotations

import multiprocessing
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from shplan.cli.pull import in_turn
from shplan.core.address import Address
from shplan.core.catalog_items import Findings
from shplan.core.errors import ManifestError
from shplan.core.resource import Desired
from shplan.manifest.pins import LOCK_FILE, parse_lock
from shplan.manifest.pulling import pull
from shplan.manifest.readings import Question
from shplan.providers.registry import PROVIDERS
from tests.cli.conftest import Project
from tests.support.bench import FlatSource

TIMES = 40
SPACE = multiprocessing.get_context("spawn")
SEARCHES = "".join(
    f"""\
---
apiVersion: shplan/v1
kind: CatalogSearch
metadata: {{name: {name}}}
spec:
  collections: [sentinel-2-l2a]
  bbox: [14.0, 46.0, 14.2, 46.2]
  datetime: 2025-06-{day:02}T00:00:00Z/2025-06-{day + 5:02}T00:00:00Z
"""
    for name, day in (("early", 1), ("late", 11))
)


def pins(root: Path) -> set[str]:
    lock = parse_lock((root / LOCK_FILE).read_text())
    return {name for entries in lock.pins.values() for name in entries}


def pull_one(root: Path, name: str) -> None:
    spec = {"collections": ["sentinel-2-l2a"], "datetime": "2025-06-01T00:00:00Z/.."}
    desired = Desired(Address("CatalogSearch", name), spec, FlatSource())
    content = Findings.of([{"id": name, "properties": {"datetime": "2025-06-01T00:00:00Z"}}])
    pull(
        root,
        [(Question(desired, None), content.as_json())],
        environment="sandbox",
        deployment="sandbox",
        registry=PROVIDERS,
    )


def pull_many(root: Path, who: str, start: Barrier) -> None:
    start.wait(timeout=60)
    for number in range(TIMES):
        with in_turn(root):
            pull_one(root, f"{who}-{number}")


def die_in_turn(root: Path, start: Barrier) -> None:
    with in_turn(root):
        start.wait(timeout=60)
        start.wait(timeout=60)


def test_two_who_pull_at_once_lose_nothing_of_each_other(tmp_path: Path) -> None:
    start = SPACE.Barrier(2)
    people = [SPACE.Process(target=pull_many, args=(tmp_path, who, start)) for who in ("ann", "bo")]
    for one in people:
        one.start()
    for one in people:
        one.join(timeout=120)
    assert [one.exitcode for one in people] == [0, 0]
    wanted = {f"CatalogSearch/{who}-{at}" for who in ("ann", "bo") for at in range(TIMES)}
    assert pins(tmp_path) == wanted


def test_who_dies_in_turn_keeps_nobody_waiting(tmp_path: Path) -> None:
    start = SPACE.Barrier(2)
    dying = SPACE.Process(target=die_in_turn, args=(tmp_path, start))
    dying.start()
    start.wait(timeout=60)
    with pytest.raises(ManifestError, match="another shplan pull is writing it"):
        in_turn(tmp_path, patience_s=0.0).__enter__()
    dying.kill()
    dying.join(timeout=60)
    with in_turn(tmp_path):
        pull_one(tmp_path, "after")
    assert pins(tmp_path) == {"CatalogSearch/after"}


def test_the_command_takes_its_turn(project: Project) -> None:
    """Where nobody can be kept out, nothing is written."""
    project.manifest.write_text(f"{project.manifest.read_text()}{SEARCHES}")
    assert project.run("pull", "CatalogSearch/early").code == 0
    turn = project.root / ".shplan" / "pull.lock"
    turn.unlink()
    turn.mkdir()
    refused = project.run("pull", "CatalogSearch/late")
    assert (refused.code, pins(project.root)) == (1, {"CatalogSearch/early"})
    assert "shplan.lock cannot be written: Is a directory." in refused.err
    turn.rmdir()
    assert project.run("pull", "CatalogSearch/late").code == 0
    assert pins(project.root) == {"CatalogSearch/early", "CatalogSearch/late"}
