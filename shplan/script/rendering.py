"""
One script over pixels, from its facts to its values: three calls into one world of JavaScript.

    with worker.begin(text) as rendering:
        rendering.facts                                 which bands, of which kind
        prepared = rendering.scenes(collections)        which scenes are read, how many bands come out
        rendered = rendering.render(planes, ...)        the values

What the script keeps between its functions, it keeps between these calls.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self, TypeAlias

from shplan.script.errors import Fault, ScriptError
from shplan.script.facts import OutputFacts, ScriptFacts
from shplan.script.loop import (
    OutputShape,
    SourceShape,
    loop_source,
    probe_source,
    simple_loop_source,
)
from shplan.script.wire import Message

if TYPE_CHECKING:
    from shplan.script.planes import Image, Pixels, Plane

Json: TypeAlias = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
Place: TypeAlias = tuple[int | None, int | None]
_DOUBLE = 8
_MAIN = "default"
_LAST = "updateOutputMetadata"
_MB = 1 << 20
_MILLION = 1e6


@dataclass(frozen=True, slots=True)
class Collection:
    """
    Where samples come from.

    Args:
        id: under which the script finds it, where there are several
        mosaicking: `SIMPLE`, `ORBIT` or `TILE`
        scenes: what is told of each, in the order of the samples; for SIMPLE, of what the one sample is made
            of, which only `updateOutput()` and `updateOutputMetadata()` are told
        since: an instant, as ISO 8601 has it: `from` of what was asked for
        until: an instant: `to` of what was asked for
    """

    id: str = ""
    mosaicking: str = "SIMPLE"
    scenes: tuple[Mapping[str, Json], ...] = ()
    since: str | None = None
    until: str | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """
    What is known before pixels are read.

    Args:
        kept: for each collection, which of its scenes are to be read, by number and in order
        outputs: with their final number of bands; none for a simple script
    """

    kept: tuple[tuple[int, ...], ...]
    outputs: tuple[OutputFacts, ...]


@dataclass(frozen=True, slots=True)
class Output:
    """
    The values of one output.

    Args:
        facts: as declared
        pixels: (row, column, band), what the script returned as a double, NaN for nothing; one value for all
            that is not a number
    """

    facts: OutputFacts
    pixels: Pixels


@dataclass(frozen=True, slots=True)
class Rendered:
    """All outputs in the order of their declaration, and `userData` of `outputMetadata`."""

    outputs: tuple[Output, ...]
    user_data: Json


class Asked(Protocol):
    """Who sends requests about the script; `Worker` makes it."""

    def __call__(
        self,
        request: Message,
        place: Place,
        *,
        parts: Sequence[memoryview] = (),
        into: Sequence[memoryview] = (),
        time_s: float,
        limit_s: float,
    ) -> Message:
        """
        Send a request and return the answer.

        Args:
            time_s: what the child gives the request, in seconds
            limit_s: what it and those before it were given together: that is told if it is too little

        Raises:
            ScriptError: as the child answered, or because there is no answer
        """


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a rendering may use up: as in `Limits`, in seconds and bytes."""

    time_s: float
    pixels_s: float
    million_s: float
    block_bytes: int
    result_bytes: int


class Rendering:
    """
    A script that was read, and whose `setup()` ran.

    Args:
        facts: what that says
        places: where its functions are declared, for faults of which the engine tells no place
    """

    def __init__(
        self, facts: ScriptFacts, places: Mapping[str, Place], ask: Asked, allowance: Allowance
    ) -> None:
        self.facts = facts
        self._places = places
        self._ask = ask
        self._allowance = allowance
        self._limit_s = self._left_s = allowance.pixels_s
        self._collections: tuple[Collection, ...] = ()
        self._prepared: Prepared | None = None
        self._fused = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give back the world of the script, so that the next need not wait for a fresh one."""
        # Where its process is gone, what is to be said of that was said before.
        with suppress(ScriptError):
            time_s = self._allowance.time_s
            self._ask({"operation": "close"}, (None, None), time_s=time_s, limit_s=time_s)

    def scenes(
        self,
        collections: Sequence[Collection] = (Collection(),),
        *,
        fused: bool | None = None,
        input_metadata: Mapping[str, Json] | None = None,
        custom_data: Json = None,
    ) -> Prepared:
        """
        Let the script choose its scenes and the number of bands of its outputs.

        Runs `preProcessScenes()`, or `filterScenes()` of older scripts, for which nothing is filtered where
        mosaicking is SIMPLE; then `updateOutput()`.

        Args:
            collections: all there are, in the order of the planes that will be given
            fused: whether samples are told apart by collection; unless said, where there are several

        Raises:
            ScriptError: the script failed, or chose what there is not
        """
        self._fused = len(collections) > 1 if fused is None else fused
        declared = self.facts.outputs
        request: Message = {
            "operation": "scenes",
            "fused": self._fused,
            "sources": [_told(one) for one in collections],
            "inputMetadata": dict(input_metadata or {}),
            "customData": {} if custom_data is None else custom_data,
            "declared": [{"id": one.id, "bands": one.bands} for one in declared],
        }
        place = self._place("preProcessScenes", "filterScenes", "updateOutput")
        answer = self._asked(request, place, self._allowance.time_s)
        kept, bands = answer["kept"], answer["bands"]
        assert isinstance(kept, list)
        assert isinstance(bands, list)
        self._collections = tuple(collections)
        outputs = tuple(
            replace(one, bands=int(count)) for one, count in zip(declared, bands, strict=True)
        )
        self._prepared = Prepared(tuple(tuple(one) for one in kept), outputs)
        return self._prepared

    def render(
        self,
        planes: Sequence[Mapping[str, Plane]],
        *,
        height: int,
        width: int,
        is_last: bool = True,
    ) -> Rendered:
        """
        Run the script for every pixel, then `updateOutputMetadata()`.

        An image may be rendered part by part, from the top.

        Every scene that was kept gives a sample at every pixel, in order; where it has no data, the bands
        say so (`dataMask`).

        Args:
            planes: for each collection, each band's numbers: (scene, row, column), or (row, column) for one
            height: in pixels
            width: in pixels
            is_last: whether no other part follows; what the script tells its user is only known then

        Raises:
            ScriptError: the script failed, or returned something that is no output
            KeyError: a band of a simple script is not given
            ValueError: planes are not as many as scenes, or not of this height and width
        """
        # Whoever only watches a script loads no arrays.
        from shplan.script.planes import Image, count_of  # noqa: PLC0415

        prepared = self._prepared or self.scenes()
        if self.facts.is_simple:
            # Its bands are arguments: their order is that of the facts.
            planes = [{name: planes[0][name] for name in self.facts.inputs[0].bands}]
        arrays = [one for bands in planes for one in bands.values()]
        image = Image(arrays, height, width, block_bytes=self._allowance.block_bytes)
        self._left_s = self._limit_s = self._granted_s(sum(map(count_of, arrays)) * height * width)
        if self.facts.is_simple:
            outputs: tuple[OutputFacts, ...] = (self._probed(image),)
            source = simple_loop_source(len(arrays), _shapes(outputs))
        else:
            outputs = prepared.outputs
            shapes = self._source_shapes(planes, prepared)
            source = loop_source(shapes, _shapes(outputs), fused=self._fused)
        pixels, answer = self._computed(image, outputs, source, is_last=is_last)
        if is_last and _LAST in self.facts.functions:
            answer = self._asked(
                {"operation": "finish"}, self._place(_LAST), self._allowance.time_s
            )
        made = tuple(Output(one, values) for one, values in zip(outputs, pixels, strict=True))
        return Rendered(made, _text_only(answer["userData"]) if is_last else None)

    def watched(self, request: Message) -> Message:
        """
        Run the script on the pixels that a request brings along; see `probing`.

        Raises:
            ScriptError: a limit was met
        """
        return self._asked(request, self._place("evaluatePixel"), self._allowance.pixels_s)

    def _granted_s(self, samples: int) -> float:
        """Return what the script may take for so many samples: the more, the longer, in seconds."""
        return self._allowance.pixels_s + self._allowance.million_s * samples / _MILLION

    def _source_shapes(
        self, planes: Sequence[Mapping[str, Plane]], prepared: Prepared
    ) -> list[SourceShape]:
        from shplan.script.planes import count_of  # noqa: PLC0415 - as `render`

        shapes = []
        for collection, bands, kept in zip(self._collections, planes, prepared.kept, strict=True):
            count = self._samples_of(collection, bands, len(kept))
            for name, array in bands.items():
                if count_of(array) != (1 if count is None else count):
                    msg = f"{count_of(array)} planes of {name} for {count or 1} scenes"
                    raise ValueError(msg)
            shapes.append(SourceShape(collection.id, tuple(bands), count))
        return shapes

    def _samples_of(
        self, collection: Collection, bands: Mapping[str, Plane], kept: int
    ) -> int | None:
        """Return how many samples a pixel has, None for one that stands alone and in no list."""
        if collection.mosaicking != "SIMPLE":
            return kept
        if not self._fused:
            return None
        from shplan.script.planes import count_of  # noqa: PLC0415 - as `render`

        # In fusion one sample is a list as well, and none is an empty one.
        return min(1, max(map(count_of, bands.values()), default=0))

    def _probed(self, image: Image) -> OutputFacts:
        """Return the output of a script that declares none: what its first value is like."""
        request: Message = {
            "operation": "probe",
            "source": probe_source(len(image.stacks)),
            "planes": image.told(),
        }
        place = self._place("evaluatePixel")
        found = 0
        for first, last in image.blocks(0):
            answer = self._timed(
                {**request, **image.request(first, last)}, place, image, first, last
            )
            found = answer["bands"]  # type: ignore[assignment]
            if found:
                break
        return OutputFacts(_MAIN, found or 1, (), "AUTO", None)

    def _computed(
        self, image: Image, outputs: Sequence[OutputFacts], source: str, *, is_last: bool
    ) -> tuple[list[Pixels], Message]:
        """Return the values of each output, and the last answer."""
        from shplan.script.planes import bytes_of, empty, settle  # noqa: PLC0415 - as `render`

        bands = sum(one.bands for one in outputs)
        place = self._place("evaluatePixel")
        if bands * image.height * image.width * _DOUBLE > self._allowance.result_bytes:
            msg = f"{bands} bands of {image.width} x {image.height} pixels are too many values"
            raise ScriptError(Fault.MEMORY, msg, line=place[0], column=place[1])
        pixels = [empty(image.height, image.width, one.bands) for one in outputs]
        more = {
            "layout": _layout(image, outputs, source),
            "room": image.block_size(bands),
        }
        answer: Message = {}
        tells = is_last and _LAST not in self.facts.functions
        for first, last in image.blocks(bands):
            request = image.request(first, last) | more
            request["operation"] = "block"
            request["doubles"] = (last - first) * image.width * bands * _DOUBLE
            request["last"] = last == image.height and tells
            into = [bytes_of(one, first, last) for one in pixels]
            answer = self._timed(request, place, image, first, last, into)
            more = {}
        for one in pixels:
            settle(one)
        return pixels, answer

    def _timed(
        self,
        request: Message,
        place: Place,
        image: Image,
        first: int,
        last: int,
        into: Sequence[memoryview] = (),
    ) -> Message:
        """Send a block; what it takes is taken from the time that all of them have."""
        begun = time.monotonic()
        parts = image.parts(first, last)
        left_s = max(self._left_s, 0.001)
        answer = self._asked(request, place, left_s, parts, into, limit_s=self._limit_s)
        self._left_s -= time.monotonic() - begun
        return answer

    def _asked(
        self,
        request: Message,
        place: Place,
        time_s: float,
        parts: Sequence[memoryview] = (),
        into: Sequence[memoryview] = (),
        *,
        limit_s: float | None = None,
    ) -> Message:
        return self._ask(
            {**request, "time_s": float(time_s)},
            place,
            parts=parts,
            into=into,
            time_s=time_s,
            limit_s=time_s if limit_s is None else limit_s,
        )

    def _place(self, *names: str) -> Place:
        return next((self._places[one] for one in names if one in self._places), (None, None))


def _text_only(user_data: object) -> Json:
    """Return what a script left without halves of characters, which nobody could write down."""
    text = json.dumps(user_data, ensure_ascii=False).encode("utf-8", "replace")
    found: Json = json.loads(text)
    return found


def _layout(image: Image, outputs: Sequence[OutputFacts], source: str) -> Message:
    ids = [one.id for one in outputs]
    return {
        "source": source,
        "planes": image.told(),
        "outputs": [{"id": one.id, "bands": one.bands} for one in outputs],
        # What is returned for no output in particular is for this one.
        "main": ids.index(_MAIN) if _MAIN in ids else 0,
    }


def _shapes(outputs: Sequence[OutputFacts]) -> list[OutputShape]:
    return [OutputShape(one.id, one.bands) for one in outputs]


def _told(collection: Collection) -> dict[str, object]:
    return {
        "id": collection.id,
        "mosaicking": collection.mosaicking,
        "from": collection.since,
        "to": collection.until,
        "scenes": [{"__idx": number, **one} for number, one in enumerate(collection.scenes)],
    }
