"""Data kinds as a user meets them, on the embedded sandbox: read, fanned out, pinned, pulled."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from shplan.manifest.pins import LOCK_FILE
from tests.cli.conftest import Project

SCENES = """\
apiVersion: shplan/v1
kind: CatalogSearch
metadata: {name: scenes}
spec:
  collections: [sentinel-2-l2a]
  bbox: [14.0, 46.0, 14.2, 46.2]
  datetime: 2025-06-01T00:00:00Z/2025-06-14T00:00:00Z
  filter: eo:cloud_cover < 50
---
apiVersion: shplan/v1
kind: ByocCollection
metadata:
  name: day
  forEach: {date: "{{ ref('CatalogSearch/scenes').dates }}"}
spec: {name: "Day {{ each.date }}", s3Bucket: fields}
"""
OWN = """\
apiVersion: shplan/v1
kind: CatalogSearch
metadata: {name: own, dependsOn: [ByocTiles/fields]}
spec:
  collections: ["byoc-{{ ref('ByocCollection/fields').id }}"]
  datetime: 2025-06-01T00:00:00Z/..
"""
NAMED = """\
---
apiVersion: shplan/v1
kind: ByocCollection
metadata: {name: named}
spec: {name: "Found {{ ref('CatalogSearch/own').count }}", s3Bucket: fields}
"""
EACH = """\
---
apiVersion: shplan/v1
kind: ByocCollection
metadata: {name: each, forEach: "{{ ref('CatalogSearch/own').byId }}"}
spec: {name: "Of {{ each.value.datetime }}", s3Bucket: fields}
"""
THIRD = """\
apiVersion: shplan/v1
kind: ByocCollection
metadata: {name: third}
spec: {name: "{{ ref('CatalogSearch/scenes').items[2].id }}", s3Bucket: fields}
"""
DAYS = ["2025-06-01", "2025-06-03", "2025-06-08", "2025-06-13"]


@pytest.fixture
def scenes(project: Project) -> Project:
    project.manifest.write_text(SCENES)
    (project.root / "shplan.yaml").write_text(
        "{apiVersion: shplan/v1, kind: Project, metadata: {name: demo}, "
        "spec: {outputs: {ids: \"{{ ref('CatalogSearch/scenes').ids }}\"}}}\n"
    )
    return project


def write(project: Project, name: str, text: str) -> Path:
    path = project.root / "manifests" / name
    path.write_text(text)
    return path


def changes(project: Project) -> dict[str, dict]:
    said = project.run("plan", "--format", "json")
    assert said.code == 0, said.err
    return {one["address"]: one for one in json.loads(said.out)["changes"]}


def test_a_search_is_read_while_planning_and_fans_out(scenes: Project) -> None:
    offline = scenes.run("validate")
    assert offline.code == 0
    assert "depend on CatalogSearch/scenes, which is read while planning" in offline.err
    planned = changes(scenes)
    assert [one for one in planned if one.startswith("ByocCollection/day")] == [
        f"ByocCollection/day[{day}]" for day in DAYS
    ]
    assert planned["CatalogSearch/scenes"]["reason"]["code"] == "read"
    assert "6 items" in scenes.run("why", "CatalogSearch/scenes").out
    assert scenes.run("apply", "--auto-approve").code == 0
    assert scenes.run("plan", "--detailed-exitcode").code == 0
    assert len(json.loads(scenes.run("output", "ids").out)) == 6


def test_what_is_offline_stays_offline(scenes: Project) -> None:
    """No sandbox is made: nobody was asked."""
    for command in (
        ["validate"],
        ["graph"],
        ["fmt", "--check"],
        ["show", "CatalogSearch/scenes", "--request"],
    ):
        assert scenes.run(*command).code == 0, command
    assert "ByocCollection/day" in scenes.run("graph").out
    assert not (scenes.root / ".shplan" / "sandbox" / "sandbox.sqlite").exists()
    sent = json.loads(scenes.run("show", "CatalogSearch/scenes", "--request").out)
    assert sent == {
        "bbox": [14.0, 46.0, 14.2, 46.2],
        "collections": ["sentinel-2-l2a"],
        "datetime": "2025-06-01T00:00:00Z/2025-06-14T00:00:00Z",
        "filter": "eo:cloud_cover < 50",
        "filter-lang": "cql2-text",
        "limit": 100,
    }


def test_a_saved_plan_says_what_was_read(scenes: Project) -> None:
    assert scenes.run("plan", "-o", "plan.json").code == 0
    saved = json.loads((scenes.root / "plan.json").read_text())
    assert saved["inputs"]["data"]["CatalogSearch/scenes"].startswith("sha256:")
    # Other items are another plan where they matter.
    scenes.replace("< 50", "< 101")
    assert scenes.run("apply", "plan.json").code == 4
    scenes.replace("< 101", "< 50")
    assert scenes.run("apply", "plan.json").code == 0


def test_the_service_refuses_a_search_with_its_place(scenes: Project) -> None:
    scenes.replace("[sentinel-2-l2a]", "[sentinel-9]")
    said = scenes.run("plan")
    assert said.code == 1
    assert "error[data/refused]" in said.err
    assert "manifests/fields.yaml:4" in said.err


# --- pins -----------------------------------------------------------------------------------------


@pytest.fixture
def pinned(scenes: Project) -> Project:
    scenes.replace("  filter:", "  pin: true\n  filter:")
    return scenes


def test_a_pin_comes_from_pull_and_from_nowhere_else(pinned: Project) -> None:
    for command in (["validate"], ["plan"], ["apply", "--auto-approve"]):
        said = pinned.run(*command)
        assert said.code == 1
        assert "shplan pull CatalogSearch/scenes" in said.err
    assert not (pinned.root / LOCK_FILE).exists()
    pulled = pinned.run("pull", "CatalogSearch/scenes")
    assert pulled.code == 0, pulled.err
    assert "6 items in shplan.lock for environment sandbox; 6 added." in pulled.out
    assert pinned.run("validate").out.startswith("Valid: 5 resources")
    before = (pinned.root / LOCK_FILE).read_bytes()
    assert "nothing changed" in pinned.run("pull", "CatalogSearch/scenes").out
    assert pinned.run("apply", "--auto-approve").code == 0
    assert (pinned.root / LOCK_FILE).read_bytes() == before


def test_outputs_of_what_is_pinned_ask_the_catalogue_nothing(pinned: Project) -> None:
    """A question has its price, and the pin is the answer; who plans is told how it differs."""
    assert pinned.run("pull", "CatalogSearch/scenes").code == 0
    before = asked(pinned)
    said = pinned.run("output", "ids")
    assert (said.code, len(json.loads(said.out))) == (0, 6)
    assert asked(pinned) == before
    assert pinned.run("plan").code == 0
    assert asked(pinned) > before


def test_another_search_is_not_answered_by_an_old_pin(pinned: Project) -> None:
    assert pinned.run("pull", "CatalogSearch/scenes").code == 0
    pinned.replace("< 50", "< 60")
    said = pinned.run("validate")
    assert "`filter` changed since" in said.err
    assert said.code == 1
    # How many items a page has changes nothing of what is found.
    pinned.replace("< 60", "< 50\n  limit: 3")
    assert pinned.run("validate").code == 0


def test_a_pin_that_makes_manifests_wrong_can_be_pulled_again(pinned: Project) -> None:
    """Nobody has to edit the lock to get away from what it holds."""
    pinned.replace("2025-06-14T", "2025-06-02T")
    assert pinned.run("pull", "CatalogSearch/scenes").code == 0
    write(pinned, "third.yaml", THIRD)
    pinned.replace("2025-06-02T", "2025-06-14T")
    assert pinned.run("validate").code == 1
    assert pinned.run("pull", "CatalogSearch/scenes").code == 0
    assert pinned.run("validate").code == 0
    pinned.replace("2025-06-14T", "2025-06-02T")
    # It finds too little for the manifests, which is said, and pulled all the same.
    assert pinned.run("pull", "CatalogSearch/scenes").code == 0
    assert "there is no number 2" in pinned.run("plan").err
    pinned.replace("2025-06-02T", "2025-06-14T")
    assert pinned.run("pull", "CatalogSearch/scenes").code == 0
    assert pinned.run("plan").code == 0


def test_an_edited_lock_is_noticed(pinned: Project) -> None:
    assert pinned.run("pull", "CatalogSearch/scenes").code == 0
    lock = pinned.root / LOCK_FILE
    text = lock.read_text()
    lock.write_text(text.replace("T33TVM_20250601", "T33TVM_20240601"))
    assert "its digest differs" in pinned.run("plan").err
    lock.write_text(text.replace('"pins": {', '<<<<<<< HEAD\n"pins": {'))
    assert "merge that was not finished" in pinned.run("plan").err
    refused = pinned.run("pull", "CatalogSearch/scenes")
    assert refused.code == 1
    assert "<<<<<<<" in lock.read_text()


def test_the_catalogue_changes_and_the_pin_does_not(project: Project) -> None:
    """The same manifest gives the same scenes next year, and the plan says what else there is."""
    assert project.run("apply", "--auto-approve").code == 0
    search = write(project, "own.yaml", OWN.replace("spec:", "spec:\n  pin: true") + EACH)
    pulled = project.run("pull", "CatalogSearch/own", "--format", "json")
    assert pulled.code == 0, pulled.err
    (told,) = json.loads(pulled.out)
    assert (told["count"], told["used"]) == (2, True)
    assert project.run("apply", "--auto-approve").code == 0
    project.replace(
        "    - {path: b", "    - {path: c, sensingTime: 2025-06-03T10:00:00Z}\n    - {path: b"
    )
    assert project.run("apply", "--auto-approve").code == 0
    said = project.run("plan", "--detailed-exitcode")
    assert said.code == 0  # a note, and no change
    assert "the service says something else by now" in said.out
    assert "the catalogue has in addition 1:" in said.out
    assert "3 to create" not in said.out
    again = project.run("pull", "CatalogSearch/own")
    assert "3 items in shplan.lock for environment sandbox; 1 added." in again.out
    assert [one for one in changes(project) if one.startswith("ByocCollection/each")]
    assert search.exists()


def test_only_what_is_asked_for_is_pulled(pinned: Project) -> None:
    write(
        pinned,
        "more.yaml",
        SCENES.split("---", maxsplit=1)[0].replace("name: scenes", "name: more"),
    )
    assert pinned.run("pull", "CatalogSearch/scenes").code == 0
    more = pinned.run("pull", "CatalogSearch/more")
    assert "It is used when the manifest says `pin: true`." in more.out
    lock = (pinned.root / LOCK_FILE).read_text()
    assert '"CatalogSearch/more"' in lock
    assert '"CatalogSearch/scenes"' in lock
    wrong = pinned.run("pull", "CatalogSearch/scene")
    assert wrong.code == 1
    assert "did you mean CatalogSearch/scenes?" in wrong.err
    assert pinned.run("pull", "ByocCollection/day").code == 1


# --- what needs something that apply makes ---------------------------------------------------------


def test_what_needs_an_id_of_the_plan_is_read_during_apply(project: Project) -> None:
    write(project, "own.yaml", OWN + NAMED)
    planned = changes(project)
    assert planned["CatalogSearch/own"]["reason"]["code"] == "read_later"
    said = project.run("plan", "-o", "plan.json")
    assert "name: (known after apply)" in said.out
    assert project.run("apply", "plan.json").code == 0
    assert project.run("plan", "--detailed-exitcode").code == 0
    names = project.run("show", "ByocCollection/named").out
    assert "Found" in names
    assert "2 items" in project.run("status").out


def test_a_saved_plan_goes_on_when_its_data_is_known(project: Project) -> None:
    """The first apply ends half way; what was a hole in the reviewed plan is known to the second."""
    write(project, "own.yaml", OWN + NAMED)
    assert project.run("plan", "-o", "plan.json").code == 0
    bucket = project.root / ".shplan" / "sandbox" / "buckets" / "fields"
    kept = {path: path.read_bytes() for path in bucket.rglob("*.tif*") if "/b/" in str(path)}
    for path in kept:
        path.unlink()
    assert project.run("apply", "plan.json").code == 3
    for path, content in kept.items():
        path.write_bytes(content)
    # What failed stays failed under this file; a new plan goes on.
    assert project.run("apply", "plan.json").code == 3
    assert project.run("apply", "--auto-approve").code == 0
    assert project.run("plan", "--detailed-exitcode").code == 0


def test_instances_of_what_is_there_already_are_known_while_planning(project: Project) -> None:
    write(project, "own.yaml", OWN + EACH)
    said = project.run("plan")
    assert said.code == 1
    assert "its keys are not known while planning" in said.err
    (project.root / "manifests" / "own.yaml").unlink()
    assert project.run("apply", "--auto-approve").code == 0
    write(project, "own.yaml", OWN + EACH)
    assert len([one for one in changes(project) if one.startswith("ByocCollection/each[")]) == 2
    assert project.run("apply", "--auto-approve").code == 0
    assert project.run("plan", "--detailed-exitcode").code == 0


def test_a_search_that_finds_less_removes_what_it_gave(scenes: Project) -> None:
    assert scenes.run("apply", "--auto-approve").code == 0
    scenes.replace("2025-06-14T", "2025-06-10T")
    said = scenes.run("plan")
    assert "- ByocCollection/day[2025-06-13]" in said.out
    assert "1 to delete" in said.out


def test_a_grid_is_known_offline(project: Project) -> None:
    grid = """\
apiVersion: shplan/v1
kind: TilingGrid
metadata: {name: tiles}
spec: {id: 1, bounds: {bbox: [14.0, 46.0, 14.2, 46.2]}}
---
apiVersion: shplan/v1
kind: ByocCollection
metadata: {name: tile, forEach: "{{ ref('TilingGrid/tiles').byName }}"}
spec: {name: "Tile {{ each.key }}", s3Bucket: fields}
"""
    write(project, "grid.yaml", grid)
    assert project.run("validate").out.startswith("Valid: 9 resources")
    assert "UTM 10km grid: 6 tiles, 6 of them partly" in project.run("why", "TilingGrid/tiles").out
    assert changes(project)["TilingGrid/tiles"]["reason"]["code"] == "read"
    assert project.run("pull", "TilingGrid/tiles").code == 1


JOB = """\
apiVersion: shplan/v1
kind: Process
metadata: {name: figure}
spec:
  input:
    bounds: {bbox: [14.0, 46.0, 14.2, 46.2]}
    data:
      - type: sentinel-2-l2a
        dataFilter: {timeRange: {from: "2025-06-01T00:00:00Z", to: "2025-06-30T23:59:59Z"}}
  output: {width: 32, height: 32}
  evalscript: |
    //VERSION=3
    function setup() { return {input: ["B04"], output: {bands: 1}, mosaicking: "ORBIT"}; }
    function evaluatePixel(samples) { return [Math.min(samples.length, 1)]; }
run: {output: out/figure.png}
"""


def asked(project: Project) -> int:
    """How often the catalogue was searched."""
    with sqlite3.connect(project.root / ".shplan" / "sandbox" / "sandbox.sqlite") as file:
        (number,) = file.execute(
            "select count(*) from requests where path like '%/search'"
        ).fetchone()
    return int(number)


def test_who_wants_no_price_does_not_pay_for_the_search_that_tells_it(project: Project) -> None:
    project.manifest.write_text(JOB)
    (project.root / "shplan.yaml").write_text(
        "{apiVersion: shplan/v1, kind: Project, metadata: {name: demo}, "
        "spec: {outputs: {figure: \"{{ ref('Process/figure').path }}\"}}}\n"
    )
    for command in (["status"], ["output"], ["status", "--watch"]):
        assert project.run(*command).code == 0, command
        assert asked(project) == 0, command
    assert "as the catalogue lists them" in project.run("why", "Process/figure").out
    assert asked(project) == 1
