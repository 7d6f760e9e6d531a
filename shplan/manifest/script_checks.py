"""
What is said of the evalscripts of a project: of each text once, and of each request that gives one its imagery.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Self

from shplan.core.address import Address
from shplan.core.diagnostic import Diagnostic, SourceSpan
from shplan.core.errors import ManifestError
from shplan.core.frozen import dataclass
from shplan.core.nearest import nearest
from shplan.core.request_formats import USERDATA
from shplan.core.resource import Desired
from shplan.core.value import Object, Path, Unknown, Value, is_known
from shplan.manifest.collections import MASK
from shplan.manifest.produced import KIND as BATCH
from shplan.manifest.scripts import Scripts, complaint, remarked
from shplan.schema.store import table
from shplan.script import ScriptError, Worker

if TYPE_CHECKING:
    from types import TracebackType

    from shplan.manifest.collections import Collection
    from shplan.manifest.script_remarks import Remark
    from shplan.script import InputFacts, ScriptFacts


@dataclass(frozen=True, slots=True)
class Data:
    """
    An object of `input.data`.

    Args:
        id: under which a script finds it, or empty
        collection: what it reads, None where nobody knows its bands
    """

    id: str
    collection: Collection | None


class ScriptChecks:
    """
    Checks of one load.

    Args:
        scripts: which gives the facts
        manifests: texts of files of manifests, for scripts that are written in them
        deployment: its built-in name, empty where it is none
    """

    def __init__(self, scripts: Scripts, manifests: Mapping[str, str], *, deployment: str) -> None:
        self._scripts = scripts
        self._manifests = manifests
        self._deployment = deployment
        # Texts of which something was said that keeps them from serving.
        self._faulty: set[str] = set()
        # How many collections the requests read that have a script.
        self._serving: dict[str, set[int]] = {}
        # Texts that batch requests have.
        self._analysed: set[str] = set()

    def serves(self, text: str, desired: Desired, path: Path) -> None:
        """Take note that a request has this script, before anything is said of it."""
        self._serving.setdefault(text, set()).add(len(data_of(desired.spec, path)))
        if desired.address.kind == BATCH:
            self._analysed.add(text)

    def of_file(self, text: str, desired: Desired) -> list[Diagnostic]:
        """Return what is wrong with a script in a file of its own, or else what is to be said of it."""
        fault = self._scripts.fault_alone(text)
        if fault is not None:
            return self._complaint(fault, text, desired, None)
        if text in self._serving and self._scripts.fault(text) is not None:
            return []  # more is asked of it where it serves, and is said there
        return self._remarks(text, desired, None)

    def of_request(self, text: str, desired: Desired, path: Path) -> list[Diagnostic]:
        """
        Return what keeps a script from serving a request, or else what is to be said of one written there.

        Args:
            path: where below `spec` the request has it
        """
        fault = self._scripts.fault(text)
        if text in self._scripts.files:
            # Looked at where the file is declared; what only a request asks for is shown there, too.
            if fault is None or self._scripts.fault_alone(text) is not None:
                return []
            used = desired.source.span(("spec", *path))
            return self._complaint(fault, text, desired, None, related=(used,))
        inline = desired.source.span(("spec", *path))
        if fault is not None:
            return self._complaint(fault, text, desired, inline)
        return self._remarks(text, desired, inline)

    def _remarks(self, text: str, desired: Desired, inline: SourceSpan | None) -> list[Diagnostic]:
        from shplan.manifest.script_meaning import remarks  # noqa: PLC0415 - only good scripts

        look = self._scripts.look(text)
        alone = self._serving.get(text) == {1}
        said = [] if look is None else remarks(look, alone=alone, analysed=text in self._analysed)
        # A job that needs a version line says so; one for single images needs none.
        said = [one for one in said if one.rule != "version"]
        return self._told(said, text, desired, inline)

    def _complaint(
        self,
        fault: ScriptError,
        text: str,
        desired: Desired,
        inline: SourceSpan | None,
        *,
        related: tuple[SourceSpan, ...] = (),
    ) -> list[Diagnostic]:
        """Word a fault; of a file it is said once, whoever refers to it."""
        file = self._scripts.files.get(text, "")
        if file and text in self._faulty:
            return []
        self._faulty.add(text)
        found = complaint(
            fault,
            file=file,
            text=text,
            address=str(desired.address.base),
            inline=inline,
            manifest=self._manifest(inline),
        )
        return [replace(found, related=related)]

    def of_inputs(
        self, text: str, desired: Desired, path: Path, declared: Mapping[Address, Object]
    ) -> list[Diagnostic]:
        """
        Return what does not fit between a script and the collections of its request.

        Args:
            path: where below `spec` the script stands
            declared: what resources of the project say of their bands, or the service says
        """
        stated = data_of(desired.spec, path)
        data = [_data_of(one, declared) for one in stated]
        facts = self._scripts.facts(text)
        if facts is None or facts.is_simple or not data:
            return []
        # Where the script stands in a file of its own, what fits it not is said there, for each request.
        used = desired.source.span(("spec", *path))
        in_file = text in self._scripts.files
        inline, see = (None, (used,)) if in_file else (used, ())
        found = self._told(self._of_data(text, facts, data), text, desired, inline, related=see)
        served = _served(facts.inputs, data)
        for number, given in enumerate(facts.inputs):
            if given in served:
                mine = _matching(given, number, data)
                if in_file and mine is not None:
                    where = (*data_path(desired.spec, path), data.index(mine), "type")
                    see = (desired.source.span(("spec", *where)),)
                said = self._of_input(text, given, mine, data, several=len(facts.inputs) > 1)
                found += self._told(said, text, desired, inline, related=see)
        return found

    def _of_data(self, text: str, facts: ScriptFacts, data: Sequence[Data]) -> list[Remark]:
        """Return what does not fit between all that a script reads and all that a request has."""
        from shplan.manifest.script_inputs import (  # noqa: PLC0415 - as above
            too_few_data,
            unnamed_data,
            unread_data,
        )

        look = self._scripts.look(text)
        if look is None:
            return []
        ids = [one.id for one in data]
        wanted = [*dict.fromkeys(one.datasource for one in facts.inputs if one.datasource)]
        if len(data) == 1:
            return [too_few_data(wanted, ids, look.reading)] if len(wanted) > 1 else []
        named = [one for one in ids if one]
        if len(set(named)) < len(named):
            return []  # They cannot be told apart, and that is said of the request.
        if len(facts.inputs) < len(data) and not wanted:
            return [unnamed_data(ids, look.reading)]
        if not all(ids) or not wanted:
            return []
        numbers = {str(number) for number in range(len(data))}
        unread = [] if numbers & set(wanted) else [one for one in ids if one not in wanted]
        # Of a request that lacks one, too, it is said that it has another name.
        lacks = any(one not in ids for one in wanted)
        return [] if lacks else [unread_data(one, wanted, look.reading) for one in unread]

    def of_asked(self, requests: Iterable[tuple[str, Desired, Path]]) -> list[Diagnostic]:
        """Return which outputs of the scripts no request asks for."""
        from shplan.manifest.script_outputs import unasked  # noqa: PLC0415 - as above

        asked: dict[str, set[str] | None] = {}
        owners: dict[str, tuple[Desired, Path]] = {}
        for text, desired, path in requests:
            wanted, before = asked_of(desired.spec, path), asked.get(text, set())
            asked[text] = None if wanted is None or before is None else before | wanted
            owners.setdefault(text, (desired, path))
        found: list[Diagnostic] = []
        for text, names in asked.items():
            look = self._scripts.look(text)
            if names is None or look is None or self._scripts.fault(text) is not None:
                continue
            if names - {one.id for one in look.facts.outputs} - {USERDATA}:
                continue  # it is said that there is none of that name
            desired, path = owners[text]
            inline = None if text in self._scripts.files else desired.source.span(("spec", *path))
            found += self._told(unasked(look, names), text, desired, inline)
        return found

    def reads_others(self, desired: Desired, path: Path) -> bool:
        """Tell whether a request reads a collection that is known only once the server was asked."""
        return any(isinstance(one.get("type"), Unknown) for one in data_of(desired.spec, path))

    def _of_input(
        self,
        text: str,
        given: InputFacts,
        mine: Data | None,
        data: Sequence[Data],
        *,
        several: bool,
    ) -> list[Remark]:
        from shplan.manifest.script_inputs import (  # noqa: PLC0415 - as above
            remarks_on_input,
            without_data,
        )

        look = self._scripts.look(text)
        if look is None:
            return []
        if mine is None:
            ids = [one.id for one in data if one.id]
            named = bool(given.datasource) and several
            return [without_data(given, ids, look.reading)] if named else []
        if mine.collection is None:
            return []
        return remarks_on_input(
            given, mine.collection, deployment=self._deployment, reading=look.reading
        )

    def _told(
        self,
        found: Iterable[Remark],
        text: str,
        desired: Desired,
        inline: SourceSpan | None,
        *,
        related: tuple[SourceSpan, ...] = (),
    ) -> list[Diagnostic]:
        told = [
            remarked(
                one,
                file=self._scripts.files.get(text, ""),
                text=text,
                address=str(desired.address.base),
                inline=inline,
                manifest=self._manifest(inline),
            )
            for one in found
        ]
        return [replace(one, related=related) for one in told] if related else told

    def _manifest(self, inline: SourceSpan | None) -> str:
        return "" if inline is None else self._manifests.get(inline.file, "")


class FileChecks:
    """
    Checks of scripts in files that belong to no project.

    Args:
        collection: its type, e.g. `sentinel-2-l2a`, or `byoc-ID` of one whose bands nobody knows; or empty

    Raises:
        ManifestError: there is no such collection
    """

    def __init__(self, collection: str) -> None:
        self._collection = collection_named(collection) if collection else None
        self._worker = Worker()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._worker.close()

    def of_file(self, name: str, text: str) -> list[Diagnostic]:
        """
        Return what is wrong with a script, or else what is to be said of it.

        More is taken than a batch request takes: simple scripts, and those without a version line.
        """
        from shplan.manifest.script_inputs import remarks_on_input  # noqa: PLC0415 - good scripts only
        from shplan.manifest.script_looks import look  # noqa: PLC0415
        from shplan.manifest.script_meaning import remarks  # noqa: PLC0415

        known = self._collection is not None and self._collection.known
        bands = (*self._collection.bands, MASK) if self._collection and known else ()
        try:
            seen = look(self._worker, text, bands=bands, reads=self._holding)
        except ScriptError as error:
            return [complaint(error, file=name, text=text, address="")]
        alone = self._collection is not None and len(seen.facts.inputs) == 1
        found = remarks(seen, alone=alone)
        for given, collection in zip(seen.facts.inputs, self._reads(seen.facts), strict=True):
            if collection is not None:
                found += remarks_on_input(given, collection, deployment="", reading=seen.reading)
        return [remarked(one, file=name, text=text, address="") for one in found]

    def _holding(self, facts: ScriptFacts) -> list[Collection | None]:
        """Return what each input reads, of the collections of which it is known what their bands hold."""
        return [one if one is None or one.known else None for one in self._reads(facts)]

    def _reads(self, facts: ScriptFacts) -> list[Collection | None]:
        """Return what each input reads: the collection that was named, or the one that it names itself."""
        if len(facts.inputs) == 1 and self._collection is not None:
            return [self._collection]
        return [_called(one.datasource) for one in facts.inputs]


def _called(datasource: str) -> Collection | None:
    """
    Return the collection after which a datasource is called; None for one that is called otherwise.

    It is a name like any other, so that what does not fit is a warning.
    """
    name = datasource.lower()
    found = next((one for key, one in _published().items() if key.lower() == name), None)
    return None if found is None else replace(found, complete=False)


def collection_named(collection: str) -> Collection:
    """
    Return the collection that a request names like that.

    Raises:
        ManifestError: there is none
    """
    from shplan.manifest.collections import own, own_prefix  # noqa: PLC0415 - only with scripts

    prefix = own_prefix(collection)
    found = own(collection, prefix, ()) if prefix else _published().get(collection)
    if found is None:
        known = sorted({one.name for one in _published().values()})
        near = nearest(collection, known, cutoff=0.5)
        diagnostic = Diagnostic(
            code="evalscript/collection",
            summary="No such collection",
            what=f"there is no public collection `{collection}`.",
            why=f"There are {', '.join(known)}; one of your own is byoc-ID, batch-ID or zarr-ID.",
            hint=f"did you mean {near}?" if near else "",
        )
        raise ManifestError(diagnostic.what, diagnostics=(diagnostic,))
    return found


def data_of(spec: Object, path: Path) -> list[Object]:
    """Return the `input.data` of the request that has its script there: beside it, or above."""
    _, data = _data_beside(spec, path)
    return [one for one in data if isinstance(one, dict)]


def data_path(spec: Object, path: Path) -> Path:
    """Return where below `spec` they stand."""
    return _data_beside(spec, path)[0]


def _data_beside(spec: Object, path: Path) -> tuple[Path, list[Value]]:
    levels: list[Value] = [spec]
    for step in path[:-1]:
        last = levels[-1]
        levels.append(last.get(str(step)) if isinstance(last, dict) else None)
    for depth, level in reversed([*enumerate(levels)]):
        given = level.get("input") if isinstance(level, dict) else None
        data = given.get("data") if isinstance(given, dict) else None
        if isinstance(data, list):
            return (*path[:depth], "input", "data"), data
    return (*path[:-1], "input", "data"), []


def asked_of(spec: Object, path: Path) -> set[str] | None:
    """Return the outputs that a request asks for; None where that is all of them, or is not known."""
    above: Value = spec
    for step in path[:-1]:
        above = above.get(str(step)) if isinstance(above, dict) else None
    output = above.get("output") if isinstance(above, dict) else None
    stated = output.get("responses") if isinstance(output, dict) else None
    if not isinstance(stated, list) or not is_known(stated):
        return None
    named = [one.get("identifier", "default") for one in stated if isinstance(one, dict)]
    return {str(name) for name in named}


def _data_of(one: Object, declared: Mapping[Address, Object]) -> Data:
    name, kind = one.get("id"), one.get("type")
    if isinstance(kind, str):
        collection = _published().get(kind) or _of_ones_own(kind, (), declared)
    elif isinstance(kind, Unknown):
        addresses = tuple(reference.address for reference in kind.references)
        collection = _of_ones_own(kind.template, addresses, declared)
    else:
        collection = None
    return Data(name if isinstance(name, str) else "", collection)


def _of_ones_own(
    kind: str, addresses: Sequence[Address], declared: Mapping[Address, Object]
) -> Collection | None:
    """Return what is known of a collection that a request names by its id, or refers to."""
    from shplan.manifest.collections import own, own_prefix  # noqa: PLC0415 - only with scripts

    prefix = own_prefix(kind)
    if not prefix:
        return None
    for address in addresses:
        more = declared.get(address, {}).get("additionalData")
        bands = more.get("bands") if isinstance(more, dict) else None
        if isinstance(bands, dict) and bands:
            return own(str(address), prefix, tuple(str(name) for name in bands))
    return own(str(addresses[0]) if addresses else kind, prefix, ())


def _served(inputs: Sequence[InputFacts], data: Sequence[Data]) -> Sequence[InputFacts]:
    """Return the inputs that may find something in a request: of several names one data set has one."""
    wanted = [*dict.fromkeys(one.datasource for one in inputs if one.datasource)]
    if len(data) > 1 or len(wanted) < 2:
        return inputs
    name = data[0].id if data[0].id in wanted else wanted[0]
    return [one for one in inputs if one.datasource == name]


def _matching(given: InputFacts, number: int, data: Sequence[Data]) -> Data | None:
    """Return what an input of `setup()` reads. Source: documentation, "datasource"."""
    if len(data) == 1:
        return data[0]
    if given.datasource:
        wanted = given.datasource
        by_number = data[int(wanted)] if wanted.isdigit() and int(wanted) < len(data) else None
        return next((one for one in data if one.id == wanted), by_number)
    return data[number] if number < len(data) else None


@cache
def _published() -> Mapping[str, Collection]:
    from shplan.manifest.collections import published  # noqa: PLC0415 - only with scripts

    return published(table("collections"))
