"""
How the tests of evalscripts went: as text, as JSON, and as JUnit's XML for CI.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from shplan.core.script_cases import Covered, Ending, Outcome, SuiteOutcome
from shplan.core.value import JsonObject
from shplan.views.values import Paint, safe

_WORDS = {
    Ending.PASSED: ("ok", "green"),
    Ending.FAILED: ("FAIL", "red"),
    Ending.ERROR: ("ERROR", "red"),
    Ending.UPDATED: ("updated", "yellow"),
}
_MOST_SHOWN = 200


def render_tests(suites: Sequence[SuiteOutcome], *, color: bool) -> str:
    """Return the report as text with a final line break."""
    return "\n".join(_lines(suites, Paint(color=color))) + "\n"


def has_failed(suites: Sequence[SuiteOutcome]) -> bool:
    """Tell whether any test did not pass."""
    return any(one.ending in (Ending.FAILED, Ending.ERROR) for one in _all(suites))


def percent_covered(suites: Sequence[SuiteOutcome]) -> float:
    """Return the share of all lines that ran, of each script once."""
    merged = merged_coverage(suites)
    lines = sum(len(one.lines) for one in merged)
    missed = sum(len(one.missed) for one in merged)
    return 100.0 * (1 - missed / lines) if lines else 100.0


def merged_coverage(suites: Sequence[SuiteOutcome]) -> list[Covered]:
    """Return what ran of each script, where several files test one."""
    found: dict[str, Covered] = {}
    for suite in suites:
        one = suite.covered
        if one is not None:
            before = found.get(one.script)
            missed = set(one.missed) & set(before.missed) if before else set(one.missed)
            found[one.script] = Covered(one.script, one.lines, tuple(sorted(missed)))
    return list(found.values())


def tests_json(suites: Sequence[SuiteOutcome]) -> JsonObject:
    """Return the report as one JSON document."""
    counts = Counter(one.ending for one in _all(suites))
    return {
        "format": 1,
        "passed": counts[Ending.PASSED] + counts[Ending.UPDATED],
        "failed": counts[Ending.FAILED] + counts[Ending.ERROR],
        "percentCovered": round(percent_covered(suites), 1),
        "tests": [
            {
                "file": suite.file,
                "name": one.name,
                "ending": one.ending.value,
                "messages": [*one.messages],
                "place": None if one.span is None else str(one.span),
                "scriptPlace": None if one.script_span is None else str(one.script_span),
            }
            for suite in suites
            for one in suite.outcomes
        ],
        "coverage": [
            {
                "script": one.script,
                "lines": len(one.lines),
                "missed": [*one.missed],
                "percent": round(one.percent, 1),
            }
            for one in merged_coverage(suites)
        ],
    }


def junit_xml(suites: Sequence[SuiteOutcome]) -> bytes:
    """
    Return the report as JUnit's XML, which CI systems read; it has no durations.

    Source: the schema that Jenkins and GitLab read: `testsuites`, `testsuite`, `testcase`.
    """
    from xml.etree import ElementTree as ET  # noqa: PLC0415 - its usual name

    root = ET.Element("testsuites", name="evalscripts")
    for suite in suites:
        counts = Counter(one.ending for one in suite.outcomes)
        node = ET.SubElement(
            root,
            "testsuite",
            name=_xml(suite.file),
            tests=str(len(suite.outcomes)),
            failures=str(counts[Ending.FAILED]),
            errors=str(counts[Ending.ERROR]),
        )
        for one in suite.outcomes:
            case = ET.SubElement(node, "testcase", name=_xml(one.name), classname=_xml(suite.file))
            if one.ending in (Ending.FAILED, Ending.ERROR):
                tag = "failure" if one.ending is Ending.FAILED else "error"
                told = ET.SubElement(case, tag, message=_xml(one.messages[0]))
                told.text = _xml("\n".join(_placed(one)))
    ET.indent(root)
    found: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return found + b"\n"


def _lines(suites: Sequence[SuiteOutcome], paint: Paint) -> Iterator[str]:
    for suite in suites:
        yield safe(suite.file)
        for one in suite.outcomes:
            word, tone = _WORDS[one.ending]
            yield f"  {paint(f'{word:<5}', tone)} {safe(one.name)}"
            yield from (f"        {safe(line)}" for line in _placed(one))
    for covered in merged_coverage(suites):
        ran = len(covered.lines) - len(covered.missed)
        never = f"; never: {stretches(covered.missed)}" if covered.missed else ""
        share = f"{ran} of {len(covered.lines)} lines ran, {covered.percent:.0f} %"
        yield f"{safe(covered.script)}: {share}{never}"
    yield paint(_counted(suites), "bold")


def _placed(one: Outcome) -> Iterator[str]:
    if one.script_span is not None:
        yield f"{one.script_span}: {one.messages[0]}"
        yield f"{one.span}: of this test"
        return
    for number, message in enumerate(one.messages[:_MOST_SHOWN]):
        yield f"{one.span}: {message}" if number == 0 and one.span is not None else message


def _counted(suites: Sequence[SuiteOutcome]) -> str:
    counts = Counter(one.ending for one in _all(suites))
    failed = counts[Ending.FAILED] + counts[Ending.ERROR]
    words = [f"{failed:,} failed"] if failed else []
    words.append(f"{counts[Ending.PASSED]:,} passed")
    if counts[Ending.UPDATED]:
        words.append(f"{counts[Ending.UPDATED]:,} updated")
    return f"{', '.join(words)}."


def stretches(lines: Sequence[int]) -> str:
    """Word lines: `3, 5-7`."""
    found: list[list[int]] = []
    for line in sorted(lines):
        if found and line == found[-1][1] + 1:
            found[-1][1] = line
        else:
            found.append([line, line])
    return ", ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in found)


def _all(suites: Sequence[SuiteOutcome]) -> Iterator[Outcome]:
    return (one for suite in suites for one in suite.outcomes)


def _xml(text: str) -> str:
    """Leave out what no XML may hold. Source: XML 1.0, section 2.2."""
    return "".join(one if one >= " " or one in "\n\t" else "?" for one in text)
