"""Lines that ran: the copy of a script does what the script does, and says where it came by."""

from __future__ import annotations

import re

import numpy as np
import pytest

from shplan.script import Worker
from shplan.script.coverage import noted
from tests.script.pixel_cases import CASES
from tests.script.pixels import planes, render

BRANCHES = """//VERSION=3
"use strict";
const half = (s) => s.B04 / 2;
const pair = x => ({y: x});
function setup() {
  return {input: ["B04"], output: {bands: 1}};
}
function never(x) {
  x++;
  return x;
}
function evaluatePixel(s) {
  let v = half(s)
  if (v > 1) return [1]
  else if (v < 0) {
    v = 0;
    throw new Error("negative");
  } else
    v = 3
  for (let i = 0; i < 3; i++)
    v += i;
  switch (v) {
    case 6:
      v = 1;
      break;
    default:
      v = 2;
  }
  again: do v++; while (v < 4)
  // pair(1);
  return [pair(v).y];
}
"""


def ran(worker: Worker, text: str, *values: float) -> tuple[set[int], set[int]]:
    """Lines with statements, and those that ran for pixels of these values."""
    copy = noted(text, {"default": 1})
    rendered = render(worker, copy.text, [planes(1, len(values), B04=[list(values)])])
    return set(copy.lines), set(copy.ran(rendered.user_data))


def test_what_ran_is_told_by_line(worker: Worker) -> None:
    lines, found = ran(worker, BRANCHES, 0.5)
    assert lines == {3, 4, 6, 9, 10, 13, 14, 15, 16, 17, 19, 20, 21, 22, 24, 25, 27, 29, 31}
    assert lines - found == {9, 10, 16, 17, 27}


def test_what_ran_before_a_script_threw_counts(worker: Worker) -> None:
    lines, found = ran(worker, BRANCHES, -1)
    assert {16, 17} <= found
    assert not found & {19, 20, 21, 22, 31}
    assert lines - ran(worker, BRANCHES, 0.5, -1)[1] == {9, 10, 27}


def test_a_line_keeps_its_number() -> None:
    copy = noted(BRANCHES, {"default": 1}).text.split("\n")
    for number, line in enumerate(BRANCHES.rstrip("\n").split("\n")):
        word = re.findall(r"\w+", line)[-1:]
        assert not word or word[0] in copy[number]


@pytest.mark.parametrize(
    "text",
    [
        "var updateOutputMetadata = function (a, b, o) { o.userData = 1; }",
        "updateOutputMetadata = function (a, b, o) { o.userData = 1; }",
        "let updateOutputMetadata = (a, b, o) => { o.userData = 1; }",
        "function updateOutputMetadata(a, b, o) { o.userData = 1; }",
        "",
        "// a remark without an end of its line",
    ],
)
def test_what_a_script_leaves_itself_is_in_nobodys_way(worker: Worker, text: str) -> None:
    plain = (
        '//VERSION=3\nfunction setup() { return {input: ["B04"], output: {bands: 1}}; }\n'
        f"function evaluatePixel(s) {{ return [s.B04]; }}\n{text}"
    )
    lines, found = ran(worker, plain, 0.5)
    assert {2, 3} <= found <= lines


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if not case.bands])
def test_the_copy_gives_the_same_pixels(name: str, worker: Worker) -> None:
    """Over every form and pitfall of published scripts."""
    case = CASES[name]
    if "evaluatePixel" not in case.text:
        pytest.skip("a script without functions leaves nothing")
    copy = noted(case.text, {one: len(values) for one, values in case.values.items()})
    rendered = render(worker, copy.text, case.given, case.collections, **case.options)
    found = {one.facts.id: one.pixels[0, 0] for one in rendered.outputs}
    for output, values in case.values.items():
        np.testing.assert_array_equal(found[output], np.asarray(values, np.float64))
    assert copy.ran(rendered.user_data)
