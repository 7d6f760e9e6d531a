"""
A saved plan that somebody changed, leaf by leaf: it is refused, or what it says there approves nothing.

As it stands in a review, and also with its digest made anew, as somebody would who means harm. Then
what is sent is what a new plan of this checkout would send, or nothing is.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from shplan.core.errors import ShplanError
from shplan.core.value import digest
from shplan.views.saved_plan import _digest, load_plan
from tests.cli.conftest import Project

# Of the leaves, those that the default run tries by an apply; the rest is slow.
SAMPLE = 12


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every leaf, empty containers included."""
    if isinstance(value, dict) and value:
        return [leaf for key, one in value.items() for leaf in leaves(one, (*path, key))]
    if isinstance(value, list) and value:
        return [leaf for index, one in enumerate(value) for leaf in leaves(one, (*path, index))]
    return [path]


def another(value: Any) -> Any:
    """A value of the same type that is not this one."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, str):
        return value + "x" if value else "x"
    return 1 if value is None else ("x" if value == {} else ["x"])


def changed(document: Any, path: tuple[Any, ...]) -> Any:
    result = json.loads(json.dumps(document))
    owner = result
    for step in path[:-1]:
        owner = owner[step]
    owner[path[-1]] = another(owner[path[-1]])
    return result


def sealed(document: Any) -> Any:
    """With a digest and a seal that fit."""
    rest = {name: one for name, one in document.items() if name != "seal"}
    rest["digest"] = _digest(rest)
    return {**rest, "seal": digest(rest)}


def is_read(document: Any) -> bool:
    try:
        load_plan(json.dumps(document).encode(), name="plan.json")
    except ShplanError:
        return False
    return True


def planned(project: Project) -> Any:
    assert project.run("plan", "-o", "plan.json").code == 0
    return json.loads(Path("plan.json").read_text())


def test_every_leaf_that_was_changed_is_noticed(project: Project) -> None:
    document = planned(project)
    assert is_read(document)
    paths = leaves(document)
    assert len(paths) > 80
    assert [path for path in paths if is_read(changed(document, path))] == []


def what_is_there(project: Project) -> tuple[Any, ...]:
    """What a plan finds still to be done, by address and action."""
    said = project.run("plan", "--format", "json")
    assert said.code == 0, said.err
    changes = json.loads(said.out)["changes"]
    return tuple((one["address"], one["action"]) for one in changes if one["action"] != "noop")


@pytest.mark.parametrize("part", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in (1, 2, 3))])
def test_a_changed_leaf_approves_nothing_else(
    project: Project, part: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = planned(project)
    before = what_is_there(project)
    paths = [path for path in leaves(document) if path not in (("digest",), ("seal",))]
    chosen = paths[:: max(len(paths) // SAMPLE, 1)] if part == 0 else paths[part - 1 :: 3]
    for number, path in enumerate(chosen):
        try:
            tampered = sealed(changed(document, path))
        except (KeyError, TypeError):
            continue  # what has not the form of a plan has no digest either
        root = project.root.parent / f"try{part}-{number}"
        shutil.copytree(project.root, root, symlinks=True)
        monkeypatch.chdir(root)
        (root / "tampered.json").write_text(json.dumps(tampered))
        said = project.run("apply", "tampered.json", "--auto-approve")
        assert said.code in (0, 1, 4, 5), (path, said.err)
        if said.code == 0:
            # All of it was done, or nothing: what is turned into a plan to destroy finds nothing.
            assert what_is_there(project) in ((), before), path
        else:
            assert what_is_there(project) == before, path
        monkeypatch.chdir(project.root)
        shutil.rmtree(root)


def test_the_digest_that_is_made_anew_is_the_right_one(project: Project) -> None:
    """Otherwise the law above would only show that digests are compared."""
    document = planned(project)
    assert sealed(document) == document
