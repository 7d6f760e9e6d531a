"""
Files of tests beside evalscripts, `ndvi.test.yaml`: read, and what is wrong with them said in place.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import cast

from shplan.core.diagnostic import Diagnostic
from shplan.core.script_cases import (
    DEFAULT_TOLERANCE,
    Case,
    CaseImage,
    CaseScene,
    Numbers,
    Suite,
)
from shplan.core.value import JsonObject, JsonValue, Path
from shplan.manifest.origin import Origin, Text
from shplan.manifest.parse import kind_of, parse

SUFFIXES = (".test.yaml", ".test.yml")
_FILE = ("script", "tolerance", "tests")
_CASE = (
    "name",
    "inputs",
    "sources",
    "image",
    "expect",
    "golden",
    "fails",
    "tolerance",
    "timeRange",
)
_IMAGE = ("file", "bands", "scale")
_DAY, _TOLD = "date", "scene"
_USER_DATA = "userData"


def is_test_file(name: str) -> bool:
    """Tell whether a file holds tests of a script, by its name."""
    return name.endswith(SUFFIXES)


def read_suite(text: str, *, file: str) -> tuple[Suite | None, list[Diagnostic], Origin | None]:
    """
    Read a file of tests; None where anything is wrong with it.

    Args:
        file: as messages name it
    """
    parsed = parse(text, file=file)
    if parsed.diagnostics:
        return None, parsed.diagnostics, None
    origin = Origin(Text(file, text), parsed.documents[0].index if parsed.documents else 0)
    reader = _SuiteReader(origin)
    if len(parsed.documents) != 1:
        reader.complain((), "a file of tests is one YAML document.", hint="tests: [...]")
        return None, reader.diagnostics, origin
    suite = reader.suite(parsed.documents[0].value, file)
    return (None if reader.diagnostics else suite), reader.diagnostics, origin


class _SuiteReader:
    """Reads one file; what is wrong is gathered."""

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self.diagnostics: list[Diagnostic] = []

    def complain(self, path: Path, what: str, *, hint: str = "", key: bool = False) -> None:
        span = self._origin.key(path) if key else self._origin.span(path)
        self.diagnostics.append(
            Diagnostic(
                code="evalscript/test-file",
                summary="Test file cannot be used",
                what=what,
                hint=hint,
                span=span,
            )
        )

    def suite(self, value: JsonValue, file: str) -> Suite:
        content = self._mapping(value, (), _FILE)
        tolerance = self._tolerance(content, (), DEFAULT_TOLERANCE)
        listed = content.get("tests")
        if not isinstance(listed, list) or not listed:
            self.complain(("tests",), "`tests` lists the tests, at least one.")
            listed = []
        cases = [self._case(one, ("tests", n), tolerance) for n, one in enumerate(listed)]
        self._unique(cases)
        name = file.replace("\\", "/").rpartition("/")[2]
        beside = name
        for suffix in SUFFIXES:
            beside = beside.removesuffix(suffix)
        script = content.get("script", f"{beside}.js")
        if not isinstance(script, str) or not script:
            self.complain(("script",), "`script` is the path of the script, from this file on.")
        return Suite(file, str(script), tuple(cases))

    def _unique(self, cases: Iterable[Case]) -> None:
        seen: set[str] = set()
        for one in cases:
            if one.name in seen:
                self.complain((*one.path, "name"), f"another test is called `{one.name}` already.")
            seen.add(one.name)

    def _case(self, value: JsonValue, path: Path, tolerance: float) -> Case:
        content = self._mapping(value, path, _CASE)
        name = content.get("name", f"test {int(path[-1]) + 1}")
        if not isinstance(name, str) or not name:
            self.complain((*path, "name"), "`name` is a text.")
        given = [one for one in ("inputs", "sources", "image") if one in content]
        if len(given) != 1:
            what = "a test has one of `inputs`, `sources` and `image`"
            self.complain(path, f"{what}, and this has {' and '.join(given) or 'none'}.")
        wanted = [one for one in ("expect", "golden", "fails") if one in content]
        if len(wanted) != 1:
            what = "a test has one of `expect`, `golden` and `fails`"
            self.complain(path, f"{what}, and this has {' and '.join(wanted) or 'none'}.")
        expected, user_data = self._expected(content, path)
        since, until = self._span(content.get("timeRange"), (*path, "timeRange"))
        return Case(
            name=str(name),
            path=path,
            sources=self._sources(content, path),
            image=self._image(content["image"], (*path, "image")) if "image" in content else None,
            expected=expected,
            user_data=None if user_data is _NOTHING else cast("JsonValue", user_data),
            has_user_data=user_data is not _NOTHING,
            golden=self._golden(content, path),
            fails=self._text(content, "fails", path) if "fails" in content else None,
            tolerance=self._tolerance(content, path, tolerance),
            since=since,
            until=until,
        )

    def _sources(self, content: JsonObject, path: Path) -> Mapping[str, tuple[CaseScene, ...]]:
        if "inputs" in content:
            return {"": self._scenes(content["inputs"], (*path, "inputs"))}
        if "sources" not in content:
            return {}
        sources = content["sources"]
        if not isinstance(sources, dict) or not sources:
            what = "`sources` names each source of the script, with its inputs."
            self.complain((*path, "sources"), what)
            return {}
        return {name: self._scenes(one, (*path, "sources", name)) for name, one in sources.items()}

    def _scenes(self, value: JsonValue, path: Path) -> tuple[CaseScene, ...]:
        if isinstance(value, list):
            return tuple(self._scene(one, (*path, n)) for n, one in enumerate(value))
        return (self._scene(value, path),)

    def _scene(self, value: JsonValue, path: Path) -> CaseScene:
        if not isinstance(value, dict):
            what = f"inputs are a mapping of bands to their values, not {kind_of(value)}."
            self.complain(path, what, hint="{B04: 0.1, B08: [0.2, 0.3]}")
            return CaseScene({})
        told = value.get(_TOLD, {})
        if not isinstance(told, dict):
            self.complain((*path, _TOLD), "`scene` holds what the script is told of the scene.")
            told = {}
        bands = {
            name: self._numbers(one, (*path, name))
            for name, one in value.items()
            if name not in (_DAY, _TOLD)
        }
        return CaseScene(bands, self._text(value, _DAY, path), told)

    def _numbers(self, value: JsonValue, path: Path) -> Numbers:
        """Read a number, or lists of equal length of them."""
        if value is None or isinstance(value, int | float):
            return value
        if not isinstance(value, list) or not value:
            what = f"a band has a number, or a list of numbers, not {kind_of(value)}."
            self.complain(path, what)
            return None
        found = [self._numbers(one, (*path, n)) for n, one in enumerate(value)]
        if len({_shape(one) for one in found}) > 1:
            self.complain(path, "rows of numbers are equally long.")
        return found

    def _expected(
        self, content: JsonObject, path: Path
    ) -> tuple[Mapping[str, Numbers], JsonValue | object]:
        if "expect" not in content:
            return {}, _NOTHING
        value, place = content["expect"], (*path, "expect")
        if not isinstance(value, dict):
            return {"": self._numbers(value, place)}, _NOTHING
        if not value:
            self.complain(place, "`expect` names outputs, with their values.")
        expected = {
            name: self._numbers(one, (*place, name))
            for name, one in value.items()
            if name != _USER_DATA
        }
        return expected, value.get(_USER_DATA, None) if _USER_DATA in value else _NOTHING

    def _golden(self, content: JsonObject, path: Path) -> Mapping[str, str]:
        value, place = content.get("golden"), (*path, "golden")
        if isinstance(value, str) and value:
            return {"": value}
        if isinstance(value, dict) and value:
            return {name: self._text(value, name, place) for name in value}
        if "golden" in content:
            self.complain(
                place,
                "`golden` is the path of an image, from this file on, or one for each output.",
                hint="golden: {ndvi: ndvi.tif, rgb: rgb.png}",
            )
        return {}

    def _image(self, value: JsonValue, path: Path) -> CaseImage:
        content = self._mapping(value, path, _IMAGE)
        file = self._text(content, "file", path)
        bands = content.get("bands")
        if not file:
            self.complain(path, "`image` has a `file`, from this file on.")
        if not isinstance(bands, dict) or not bands:
            what = "`bands` says which band of the file each band of the script is."
            self.complain((*path, "bands"), what, hint="bands: {B04: 1, B08: 2}")
            bands = {}
        numbers: dict[str, int] = {}
        for name, one in bands.items():
            if isinstance(one, bool) or not isinstance(one, int) or one < 1:
                self.complain((*path, "bands", name), "bands of a file are counted from 1.")
            else:
                numbers[name] = one
        scale = content.get("scale", 1.0)
        if isinstance(scale, bool) or not isinstance(scale, int | float):
            self.complain((*path, "scale"), "`scale` is a number.")
            scale = 1.0
        return CaseImage(file, numbers, float(scale))

    def _span(self, value: JsonValue, path: Path) -> tuple[str | None, str | None]:
        if value is None:
            return None, None
        content = self._mapping(value, path, ("from", "to"))
        return self._text(content, "from", path) or None, self._text(content, "to", path) or None

    def _tolerance(self, content: JsonObject, path: Path, otherwise: float) -> float:
        value = content.get("tolerance", otherwise)
        if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
            self.complain((*path, "tolerance"), "`tolerance` is a number from 0 on.")
            return otherwise
        return float(value)

    def _text(self, content: JsonObject, name: str, path: Path) -> str:
        value = content.get(name, "")
        if not isinstance(value, str) or (name in content and not value):
            self.complain((*path, name), f"`{name}` is a text.")
            return ""
        return value

    def _mapping(self, value: JsonValue, path: Path, known: tuple[str, ...]) -> JsonObject:
        if not isinstance(value, dict):
            where = "here" if path else "in a file of tests"
            self.complain(path, f"a mapping stands {where}, not {kind_of(value)}.")
            return {}
        for name in value:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
                hint = f"did you mean `{near[0]}`?" if near else f"known: {', '.join(known)}"
                self.complain((*path, name), f"`{name}` means nothing here.", hint=hint, key=True)
        return value


_NOTHING = object()


def _shape(value: Numbers) -> tuple[int, ...]:
    return (len(value), *_shape(value[0])) if isinstance(value, list) else ()
