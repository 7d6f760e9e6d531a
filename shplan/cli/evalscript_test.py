"""
`shplan evalscript test`: the tests that stand beside scripts, run in the engine.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from shplan.core.diagnostic import Diagnostic, SourceSpan, ordered
from shplan.core.errors import ManifestError
from shplan.core.script_cases import Case, CaseImage, Covered, Ending, Outcome, Suite, SuiteOutcome
from shplan.manifest.script_tests import SUFFIXES, is_test_file, read_suite

if TYPE_CHECKING:
    from shplan.cli.options import Options
    from shplan.manifest.origin import Origin
    from shplan.sandbox.raster_sources import Grid
    from shplan.script import Worker
    from shplan.script.cases import Given, Produced
    from shplan.script.errors import ScriptError

_MOST_BYTES = 16 << 20
_SKIPPED = frozenset({"node_modules", "__pycache__"})


@dataclass(slots=True)
class TestFiles:
    """
    Test files that were read.

    Args:
        texts: of test files and scripts, by the name that messages have
    """

    texts: dict[str, str] = field(default_factory=dict)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    suites: list[tuple[Suite, Path, Origin]] = field(default_factory=list)


def root_of(options: Options) -> Path:
    """Return the project's directory as messages name it; outside of a project, this one."""
    from shplan.manifest.source import find_project  # noqa: PLC0415

    here = Path.cwd()
    found = options.project or find_project(here) or here
    return Path(os.path.relpath(found))


def find(paths: Sequence[Path], root: Path) -> list[Path]:
    """
    Return the test files that are meant, in order.

    Args:
        paths: test files, scripts with one beside them, or directories; none: all below `root`

    Raises:
        ManifestError: there is no such file, or none at all
    """
    found: dict[Path, None] = {}
    for path in paths or [root]:
        if path.is_dir():
            found |= dict.fromkeys(_below(path))
        else:
            found[_beside(path)] = None
    if not found:
        what = "there are no tests"
        raise _missing(what, "write ndvi.test.yaml beside ndvi.js")
    return list(found)


def _below(top: Path) -> Iterator[Path]:
    for name, directories, names in os.walk(top):
        directories[:] = sorted(
            one for one in directories if not one.startswith(".") and one not in _SKIPPED
        )
        yield from (Path(name) / one for one in sorted(names) if is_test_file(one))


def _beside(path: Path) -> Path:
    if is_test_file(path.name):
        if not path.is_file():
            what = f"there is no file {path.as_posix()}"
            raise _missing(what, "")
        return path
    candidates = [path.with_name(path.stem + suffix) for suffix in SUFFIXES]
    for one in candidates:
        if one.is_file():
            return one
    what = f"{path.as_posix()} has no tests beside it"
    raise _missing(what, f"write {candidates[0].as_posix()}")


def _missing(what: str, hint: str) -> ManifestError:
    diagnostic = Diagnostic(
        code="evalscript/no-tests", summary="No tests", what=f"{what}.", hint=hint
    )
    return ManifestError(diagnostic.what, diagnostics=(diagnostic,))


def read(paths: Sequence[Path]) -> TestFiles:
    """Read test files and their scripts; what is wrong with any of them is gathered."""
    files = TestFiles()
    for path in paths:
        name = path.as_posix()
        text = _text(path, files, span=None)
        if text is None:
            continue
        suite, wrong, origin = read_suite(text, file=name)
        files.diagnostics += wrong
        if suite is None or origin is None:
            continue
        script = _text(path.parent / suite.script, files, span=origin.span(("script",)))
        if script is not None:
            files.suites.append((suite, path.parent, origin))
    files.diagnostics = list(ordered(files.diagnostics))
    return files


def _text(path: Path, files: TestFiles, *, span: SourceSpan | None) -> str | None:
    name = path.as_posix()
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise OSError(0, f"it is larger than {_MOST_BYTES >> 20} MiB")  # noqa: TRY301
        files.texts[name] = content.decode("utf-8-sig")
        return files.texts[name]
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        diagnostic = Diagnostic(
            code="evalscript/file",
            summary="File cannot be used",
            what=f"{name} cannot be read: {why or error}.",
            span=span,
        )
        files.diagnostics.append(diagnostic)
        return None


def run(files: TestFiles, *, update: bool) -> list[SuiteOutcome]:
    """
    Run all tests.

    Args:
        update: golden images are written anew
    """
    from shplan.script import Worker  # noqa: PLC0415 - who has no tests starts no engine

    with Worker() as worker:
        return [
            _Suite(worker, suite, place, origin, files.texts, update=update).run()
            for suite, place, origin in files.suites
        ]


class _Suite:
    """Runs the tests of one file."""

    def __init__(
        self,
        worker: Worker,
        suite: Suite,
        place: Path,
        origin: Origin,
        texts: dict[str, str],
        *,
        update: bool,
    ) -> None:
        self._worker = worker
        self._suite = suite
        self._place = place
        self._origin = origin
        self._script = (place / suite.script).as_posix()
        self._text = texts[self._script]
        self._update = update
        self._lines: tuple[int, ...] | None = None
        self._ran: set[int] = set()

    def run(self) -> SuiteOutcome:
        outcomes = tuple(self._case(one) for one in self._suite.cases)
        covered = None
        if self._lines is not None:
            lines = tuple(sorted(set(self._lines)))
            missed = tuple(one for one in lines if one not in self._ran)
            covered = Covered(self._script, lines, missed)
        return SuiteOutcome(self._suite.file, outcomes, covered)

    def _case(self, case: Case) -> Outcome:
        from shplan.script.cases import CaseError  # noqa: PLC0415
        from shplan.script.errors import Fault, ScriptError  # noqa: PLC0415

        given: dict[str, Given] = {}
        try:
            given, grid = self._given(case)
            produced = self._produced(case, given, self._text)
        except CaseError as error:
            return self._error(case, str(error), *_place_in(case, error.path))
        except ScriptError as error:
            if error.fault is not Fault.ENGINE:
                self._note(case, given)
            return self._thrown(case, error)
        self._note(case, given, produced)
        return self._judged(case, produced, grid)

    def _given(self, case: Case) -> tuple[dict[str, Given], Grid | None]:
        from shplan.script.cases import given_of  # noqa: PLC0415

        if case.image is not None:
            return self._read_image(case.image)
        given = {
            name: given_of(
                [one.bands for one in scenes], [{**one.told, "date": one.day} for one in scenes]
            )
            for name, scenes in case.sources.items()
        }
        return given, None

    def _read_image(self, image: CaseImage) -> tuple[dict[str, Given], Grid | None]:
        from shplan.cli.embedded import require_packages  # noqa: PLC0415
        from shplan.script.cases import CaseError, Given  # noqa: PLC0415

        require_packages()
        from shplan.sandbox.script_images import ImageError, read_bands  # noqa: PLC0415

        try:
            bands, grid = read_bands(self._place / image.file, image.bands, scale=image.scale)
        except ImageError as error:
            message = f"{image.file} {error}"
            raise CaseError(message, "image") from error
        return {"": Given([bands], [{}])}, grid

    def _produced(self, case: Case, given: dict[str, Given], text: str) -> Produced:
        from shplan.script.cases import produce  # noqa: PLC0415

        return produce(self._worker, text, given, since=case.since, until=case.until)

    def _thrown(self, case: Case, error: ScriptError) -> Outcome:
        words = f"the script failed: {error.message}"
        if case.fails is not None and case.fails in error.message:
            return Outcome(case.name, Ending.PASSED)
        if case.fails is not None:
            words = f"an error with `{case.fails}` was expected, and there was: {error.message}"
        place = None
        if error.line:
            column = error.column or 1
            place = SourceSpan(self._script, error.line, column, column + 1)
        ending = Ending.FAILED if case.fails is not None else Ending.ERROR
        return Outcome(case.name, ending, (words,), self._span(case), place)

    def _judged(self, case: Case, produced: Produced, grid: Grid | None) -> Outcome:
        from shplan.script.cases import differences  # noqa: PLC0415

        if case.fails is not None:
            words = f"an error with `{case.fails}` was expected, and the script ended well"
            return Outcome(case.name, Ending.FAILED, (words,), self._span(case, "fails"))
        if case.golden:
            return self._golden(case, produced, grid)
        wrong = list(differences(produced, case.expected, tolerance=case.tolerance))
        user_data = produced.rendered.user_data
        if case.has_user_data and user_data != case.user_data:
            wrong.append(f"userData: expected {_json(case.user_data)}, got {_json(user_data)}")
        if wrong:
            return Outcome(case.name, Ending.FAILED, tuple(wrong), self._span(case, "expect"))
        return Outcome(case.name, Ending.PASSED)

    def _golden(self, case: Case, produced: Produced, grid: Grid | None) -> Outcome:
        from shplan.cli.embedded import require_packages  # noqa: PLC0415
        from shplan.manifest.writing import write_whole  # noqa: PLC0415

        require_packages()
        from shplan.sandbox.script_images import (  # noqa: PLC0415
            MEDIA_TYPES,
            ImageError,
            differences,
            encoded,
        )

        outputs = {one.facts.id: one for one in produced.rendered.outputs}
        wrong: list[str] = []
        for name, golden in case.golden.items():
            at = ("golden", name) if name else ("golden",)
            path = self._place / golden
            if path.suffix.lower() not in MEDIA_TYPES or path.suffix.lower() in (".jpg", ".jpeg"):
                return self._error(case, "a golden image is a .png or a .tif", *at)
            if Path(golden).is_absolute() or ".." in Path(golden).parts:
                return self._error(case, "a golden image lies below its test file", *at)
            output = outputs.get(name or "default") or (
                None if name else next(iter(outputs.values()))
            )
            if output is None:
                message = f"the script has no output {name}; it has {', '.join(outputs)}"
                return self._error(case, message, *at)
            try:
                if self._update:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    write_whole(path, encoded(output, path, grid))
                else:
                    found = differences(output, path, tolerance=case.tolerance)
                    wrong += [f"{name}: {one}" if name else one for one in found]
            except ImageError as error:
                if self._update:
                    return self._error(case, f"{golden} cannot hold it: {error}", *at)
                hint = "" if path.is_file() else "; `--update` writes it"
                return self._error(case, f"{golden} {error}{hint}", *at)
        if self._update:
            return Outcome(case.name, Ending.UPDATED)
        ending = Ending.FAILED if wrong else Ending.PASSED
        return Outcome(
            case.name, ending, tuple(wrong), self._span(case, "golden") if wrong else None
        )

    def _note(self, case: Case, given: dict[str, Given], produced: Produced | None = None) -> None:
        """Run the copy of the script that notes its lines; what it makes is of no interest."""
        from shplan.script.coverage import noted  # noqa: PLC0415
        from shplan.script.errors import ScriptError  # noqa: PLC0415

        outputs = {}
        if produced is not None:
            if produced.facts.is_simple:
                return
            outputs = {one.facts.id: one.facts.bands for one in produced.rendered.outputs}
        else:
            try:
                facts = self._worker.facts(self._text)
            except ScriptError:
                return
            outputs = {one.id: one.bands for one in facts.outputs}
        copy = noted(self._text, outputs)
        self._lines = copy.lines
        try:
            again = self._produced(case, given, copy.text)
        except ScriptError:
            return
        self._ran |= copy.ran(again.rendered.user_data)

    def _error(self, case: Case, message: str, *path: str | int) -> Outcome:
        return Outcome(case.name, Ending.ERROR, (f"{message}",), self._span(case, *path))

    def _span(self, case: Case, *path: str | int) -> SourceSpan:
        return self._origin.span((*case.path, *path))


def _place_in(case: Case, path: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """Return where in the test a source, a scene or a band stands."""
    if case.image is not None:
        return ("image", "file") if path == ("image",) else ("image", "bands", *path[2:])
    if path[:1] == ("sources",):
        return path if "" not in case.sources else ("inputs",)
    name, *rest = path or ("",)
    scenes = case.sources.get(str(name), ())
    # A single scene may stand there without a list.
    if len(scenes) == 1 and rest[:1] == [0]:
        rest = rest[1:]
    return ("sources", name, *rest) if name else ("inputs", *rest)


def _json(value: object) -> str:
    import orjson  # noqa: PLC0415

    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
