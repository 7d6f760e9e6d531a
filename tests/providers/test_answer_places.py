"""Where answers may go: into the project, and nowhere else."""

from __future__ import annotations

import posixpath
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shplan.core.job_input import ScriptOutput, ScriptShape
from shplan.core.resource import Desired
from shplan.providers.answer_places import PlaceError, project_path
from shplan.providers.process import API as PROCESS
from shplan.providers.registry import PROVIDERS
from shplan.providers.statistics import API as STATISTICS
from tests.support.immediate import (
    NUMBERS_SHAPE,
    SHAPE,
    numbers,
    picture,
    process,
    statistics,
)

SEVERAL = picture(("default", "image/png"), ("mask", "image/tiff"))


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("out/a.png", "out/a.png"),
        ("./a.png", "manifests/fields/a.png"),
        ("../a.png", "manifests/a.png"),
        ("../../out/a.png", "out/a.png"),
        ("out/../a.png", "a.png"),
        ("out//b/./a.png", "out/b/a.png"),
        ("out/.hidden.png", "out/.hidden.png"),
        ("out/{{ run.key }}.png", "out/{{ run.key }}.png"),
    ],
)
def test_a_path_counts_from_the_project_or_as_it_says_from_the_manifest(
    text: str, path: str
) -> None:
    assert project_path(text, directory="manifests/fields") == path


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        " a.png",
        "/etc/a.png",
        "~/a.png",
        "C:/a.png",
        "..",
        "../../../a.png",
        "out/../../a.png",
        "a\\b.png",
        "a\0.png",
        "a\nb.png",
        "out/",
        ".",
        "./",
        ".git/hooks/a.png",
        "out/.GIT/a.png",
        ".shplan/a.png",
        "shplan.yaml",
        "Shplan.lock",
        "a" * 201,
        7,
        None,
        ["a.png"],
    ],
)
def test_what_leads_elsewhere_is_no_place(text: Any) -> None:
    with pytest.raises(PlaceError):
        project_path(text, directory="manifests/fields")


@given(st.lists(st.sampled_from(["..", ".", "a", "b.png", "", ".git"]), max_size=8))
def test_whatever_is_taken_lies_in_the_project(steps: list[str]) -> None:
    try:
        path = project_path("/".join(steps), directory="manifests")
    except PlaceError:
        return
    assert posixpath.normpath(path) == path
    assert not path.startswith(("/", "../"))
    assert ".git" not in path.split("/")


@pytest.mark.parametrize(
    ("spec", "output", "told"),
    [
        (SEVERAL, "out/a.png", "2 responses"),
        (SEVERAL, {"files": {"default": "a.png"}}, "`mask` has no path"),
        (SEVERAL, {"files": {"default": "a.png", "mosk": "b.tif"}}, "no response `mosk`"),
        (SEVERAL, {"files": {"default": "a.png", "mask": "a.png"}}, "says png"),
        (SEVERAL, {"files": {"default": "a", "mask": "a"}}, "same path"),
        (picture(), "a.tif", "says tiff"),
        (picture(), "a.webp", "says webp"),
        (picture(("default", "image/jpeg")), {"file": "a.png"}, "says png"),
        (picture(), {"dir": "../.."}, "outside"),
    ],
)
def test_what_images_cannot_be_written_to(spec: Any, output: Any, told: str) -> None:
    with pytest.raises(PlaceError) as refused:
        PROCESS.places(spec, output, "manifests")
    assert told in refused.value.what


@pytest.mark.parametrize("output", ["out/series", {"file": "a.csv", "format": "parquet"}, "a.png"])
def test_what_numbers_cannot_be_written_to(output: Any) -> None:
    with pytest.raises(PlaceError):
        STATISTICS.places(numbers(), output, "manifests")


def test_identifiers_make_no_paths() -> None:
    odd = picture(("../../x", "image/png"), ("a/b", "image/png"))
    places = PROCESS.places(odd, {"dir": "out"}, "manifests")
    assert [one.path for one in places.targets] == ["out/.._.._x.png", "out/a_b.png"]


@pytest.mark.parametrize(
    ("spec", "output", "accept"),
    [
        (picture(), "a.png", "image/png"),
        (picture(("default", "image/tiff")), "a", "image/tiff"),
        (picture(("userdata", "application/json")), {"dir": "out"}, "application/json"),
        (SEVERAL, {"dir": "out"}, "application/tar"),
        (picture(), "a.tar", "application/tar"),
    ],
)
def test_what_is_asked_for_is_what_is_written(spec: Any, output: Any, accept: str) -> None:
    request = PROCESS.ask(spec, PROCESS.places(spec, output, "manifests"))
    assert (request.accept, request.body) == (accept, spec)


@pytest.mark.parametrize(
    ("resource", "told"),
    [
        (process(spec=picture(("mosk", "image/png"))), "no output `mosk`"),
        (replace(process(), script=NUMBERS_SHAPE), ""),
        (replace(process(), script=ScriptShape((), (ScriptOutput("ndvi", 1, "UINT8"),))), "`ndvi`"),
        (statistics(spec=numbers(calculations={"ndvi": {}})), "no output `ndvi`"),
        (replace(statistics(), script=SHAPE), "no output `dataMask`"),
    ],
)
def test_requests_that_the_service_would_fail_are_found_offline(
    resource: Desired, told: str
) -> None:
    found = [one.what for one in PROVIDERS[resource.address.kind].check(resource, {})]
    assert [told in what for what in found] == [True] * bool(told)
