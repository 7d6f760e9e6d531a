"""
The tables of format 1 of run keys: which parts of a request count, for every kind.

They follow the API description of the day on which the format was fixed and never change again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Final, TypeAlias

from shplan.core.value import (
    JsonValue,
    Path,
)

KEY_FORMAT: Final = 1


class Role(Enum):
    """What a field is, where it is no plain value."""

    LEFT_OUT = "left out"
    SCRIPT = "an evalscript"
    INSTANT = "an instant"
    BOUNDS = "bounds: a box, a geometry and their CRS"
    COG = "parameters of a GeoTIFF"
    COG_V1 = "parameters of a GeoTIFF, with the blocks of Batch V1"
    # The user's own: nothing in it means "absent".
    VERBATIM = "verbatim"
    FORMAT = "format of an image"
    RESPONSES = "the files of an answer"
    # 0 and 0.0 ask for different arithmetic.
    EXACT = "numbers of which counts whether they are integers"


@dataclass(frozen=True, slots=True)
class Default:
    """What the API takes for granted: the field may say so, or be silent."""

    value: JsonValue


Shape: TypeAlias = "Mapping[str, Shape] | list[Shape] | Default | Role"


@dataclass(frozen=True, slots=True)
class RequestForm:
    """
    What counts in the requests of one kind.

    Args:
        shape: the request's fields, nested as they are; `*` stands for every other member
        script: path of the evalscript
        files: paths of objects that refer to a file in a bucket
        deliveries: paths of the places where results go
        filled: dotted paths, `*` for every item, of fields that a server may fill in by its own
            lights, with the values that then say nothing; None: whatever the value
        dem: dotted paths of the same sort, where the value depends on the deployment
    """

    shape: Mapping[str, Shape]
    script: Path = ()
    files: tuple[Path, ...] = ()
    deliveries: tuple[Path, ...] = ()
    filled: Mapping[str, tuple[JsonValue, ...] | None] = field(default_factory=dict)
    dem: tuple[str, ...] = ()


class NoFormError(LookupError):
    """There is no table for this kind of request."""


# Source: API description, the dataset schemas of ProcessRequestInputData. The DEM that is used
# where none is named depends on the deployment: a stated one counts.
_FILTER: Final[Mapping[str, Shape]] = {
    "mosaickingOrder": Default("mostRecent"),
    "maxCloudCoverage": Default(100),
    "tiers": Default("ALL_TIERS"),
}


_DATA_FILTER: Final[Shape] = {
    "timeRange": {"from": Role.INSTANT, "to": Role.INSTANT},
    **_FILTER,
}


# "NONE: equivalent to not having speckleFilter defined" (S1ProcessingSpeckleFilterNONE). minQa has
# another default for each product of Sentinel-5P: a stated one counts.
_PROCESSING: Final[Shape] = {
    "upsampling": Default("NEAREST"),
    "downsampling": Default("NEAREST"),
    "harmonizeValues": Default(value=True),
    "backCoeff": Default("GAMMA0_ELLIPSOID"),
    "orthorectify": Default(value=False),
    "radiometricTerrainOversampling": Default(2),
    "speckleFilter": Default({"type": "NONE"}),
    "view": Default("NADIR"),
    "clampNegative": Default(value=False),
    "egm": Default(value=False),
}


# Source: API description, BatchV2ZarrOutputArrayParameters and BatchV2ArrayOverride.
_ARRAY: Final[Shape] = {
    "order": Default("C"),
    "compressor": Default(
        {"id": "blosc", "cname": "lz4", "clevel": 5, "shuffle": 1, "blocksize": 0}
    ),
    "customAttributes": Role.VERBATIM,
}


_BATCH_V2: Final = RequestForm(
    shape={
        "description": Role.LEFT_OUT,
        "instanceType": Default("normal"),
        "processRequest": {
            "evalscript": Role.SCRIPT,
            "input": {
                "bounds": Role.BOUNDS,
                "data": [{"dataFilter": _DATA_FILTER, "processing": _PROCESSING}],
            },
        },
        # Source: API description, BatchV2TilingGridInput: a tile is wider by these pixels.
        "input": {"bufferX": Default(0), "bufferY": Default(0)},
        "output": {
            "overwrite": Role.LEFT_OUT,
            "skipExisting": Role.LEFT_OUT,
            "cogOutput": Default(value=False),
            "cogParameters": Role.COG,
            "createCollection": Default(value=False),
            "group": {
                "coordinates": {"origin": Default("topLeft")},
                "customAttributes": Role.VERBATIM,
            },
            "arrayParameters": _ARRAY,
            "arrayOverrides": {"*": _ARRAY},
        },
    },
    script=("processRequest", "evalscript"),
    files=(("processRequest", "evalscriptReference"), ("input", "features")),
    deliveries=(("output", "delivery"),),
    filled={
        "processRequest.input.data.*.processing.minQa": (50, 75),
        "processRequest.output.responses.*.identifier": ("default",),
        "processRequest.evalscriptReference.s3.region": None,
        "input.features.s3.region": None,
        "output.delivery.s3.region": None,
        # Which collection was made, where `createCollection` asked for one.
        "output.collectionId": None,
    },
    dem=(
        "processRequest.input.data.*.dataFilter.demInstance",
        "processRequest.input.data.*.processing.demInstance",
    ),
)


# Source: API description, StatisticalRequestAggregationWithoutEvalscript and Aggregation ("SKIP:
# default behavior"), HistogramDefinition ("as integer numbers will select integer math").
_AGGREGATION: Final[Mapping[str, Shape]] = {
    "evalscript": Role.SCRIPT,
    "timeRange": {"from": Role.INSTANT, "to": Role.INSTANT},
    "aggregationInterval": {"lastIntervalBehavior": Default("SKIP")},
    "width": Default(256),
    "height": Default(256),
}


_CALCULATIONS: Final[Shape] = {"*": {"histograms": Role.EXACT}}


_BATCH_STATISTICS: Final = RequestForm(
    shape={
        "input": {"data": [{"dataFilter": _DATA_FILTER, "processing": _PROCESSING}]},
        "aggregation": _AGGREGATION,
        "calculations": _CALCULATIONS,
    },
    script=("aggregation", "evalscript"),
    files=(("input", "features"), ("aggregation", "evalscriptReference")),
    deliveries=(("output",),),
    filled={
        "input.data.*.processing.minQa": (50, 75),
        "input.features.s3.region": None,
        "aggregation.evalscriptReference.s3.region": None,
        "output.s3.region": None,
    },
    dem=(
        "input.data.*.dataFilter.demInstance",
        "input.data.*.processing.demInstance",
    ),
)


# Source: API description, ProcessRequestOutputResponse ("default is image/png") and
# ProcessRequestOutputFormatJpeg. Width and height have no default here.
JPEG_QUALITY: Final = 90


_ASYNC: Final = RequestForm(
    shape={
        "evalscript": Role.SCRIPT,
        "input": {
            "bounds": Role.BOUNDS,
            "data": [{"dataFilter": _DATA_FILTER, "processing": _PROCESSING}],
        },
        "output": {"responses": [{"format": Role.FORMAT}]},
    },
    script=("evalscript",),
    files=(("evalscriptReference",),),
    deliveries=(("output", "delivery"),),
    filled={
        "input.data.*.processing.minQa": (50, 75),
        "output.responses.*.identifier": ("default",),
        "evalscriptReference.s3.region": None,
        "output.delivery.s3.region": None,
    },
    dem=(
        "input.data.*.dataFilter.demInstance",
        "input.data.*.processing.demInstance",
    ),
)


# Source: API description, BatchV2CogParameters; "overviewMinSize: default value minimum of
# blockxsize and blockysize".
COG: Final[Mapping[str, Shape]] = {
    "resamplingAlgorithm": Default("average"),
    "usePredictor": Default(value=True),
}


COG_BLOCK: Final = 256


# Source: BatchCogParameters.
COG_BLOCK_V1: Final = 1024


# Source: the older batch reference, BatchProcessRequest. It has neither credentials nor files.
_BATCH_V1: Final = RequestForm(
    shape={
        "description": Role.LEFT_OUT,
        "processRequest": {
            "evalscript": Role.SCRIPT,
            "input": {
                "bounds": Role.BOUNDS,
                "data": [{"dataFilter": _DATA_FILTER, "processing": _PROCESSING}],
            },
        },
        "tilingGrid": {"bufferX": Default(0), "bufferY": Default(0)},
        "output": {
            "overwrite": Role.LEFT_OUT,
            "skipExisting": Role.LEFT_OUT,
            "cogOutput": Default(value=False),
            "cogParameters": Role.COG_V1,
            "createCollection": Default(value=False),
        },
        "zarrOutput": {
            "group": {
                "coordinates": {"origin": Default("topLeft")},
                "customAttributes": Role.VERBATIM,
            },
            "arrayParameters": _ARRAY,
            "arrayOverrides": {"*": _ARRAY},
        },
    },
    script=("processRequest", "evalscript"),
    deliveries=(("output", "defaultTilePath"), ("bucketName",), ("zarrOutput", "path")),
    filled={
        "processRequest.input.data.*.processing.minQa": (50, 75),
        "processRequest.output.responses.*.identifier": ("default",),
        # The same grid, said in the other way.
        "tilingGrid": None,
        "tilingGridId": None,
        "resolution": None,
        # Which collection was made, where `createCollection` asked for one.
        "output.collectionId": None,
    },
    dem=(
        "processRequest.input.data.*.dataFilter.demInstance",
        "processRequest.input.data.*.processing.demInstance",
    ),
)


# Source: API description, ProcessRequestOutput and the formats of responses; the process page: a
# response is that of the output `default`, and a PNG.
_INPUT: Final[Shape] = {
    "bounds": Role.BOUNDS,
    "data": [{"dataFilter": _DATA_FILTER, "processing": _PROCESSING}],
}


RESPONSE: Final[Shape] = {
    "identifier": Default("default"),
    "format": {"type": Default("image/png"), "quality": Default(90)},
}


_PROCESS: Final = RequestForm(
    shape={
        "evalscript": Role.SCRIPT,
        "input": _INPUT,
        "output": {
            "width": Default(256),
            "height": Default(256),
            "responses": Role.RESPONSES,
        },
    },
    script=("evalscript",),
)


# Source: API description, StatisticalRequest; the statistics pages: SKIP is the default, and the time
# of a data set is not used. Whole numbers as edges of a histogram mean arithmetic of whole numbers.
_STATISTICS: Final = RequestForm(
    shape={
        "input": {
            "bounds": Role.BOUNDS,
            "data": [
                {
                    "dataFilter": {**_FILTER, "timeRange": Role.LEFT_OUT},
                    "processing": _PROCESSING,
                }
            ],
        },
        "aggregation": {
            "evalscript": Role.SCRIPT,
            "timeRange": {"from": Role.INSTANT, "to": Role.INSTANT},
            "aggregationInterval": {"lastIntervalBehavior": Default("SKIP")},
            "width": Default(256),
            "height": Default(256),
        },
        "calculations": {"*": {"histograms": Role.EXACT}},
    },
    script=("aggregation", "evalscript"),
)


FORMS: Final[Mapping[tuple[str, str], RequestForm]] = MappingProxyType(
    {
        ("BatchProcess", "v1"): _BATCH_V1,
        ("BatchProcess", "v2"): _BATCH_V2,
        ("BatchStatistics", "v1"): _BATCH_STATISTICS,
        ("AsyncProcess", "v1"): _ASYNC,
        ("Process", "v1"): _PROCESS,
        ("Statistics", "v1"): _STATISTICS,
    }
)


def form_of(kind: str, api: str) -> RequestForm:
    """
    Return the table for a kind's requests.

    Raises:
        NoFormError: format 1 knows no such requests
    """
    try:
        return FORMS[kind, api]
    except KeyError:
        message = f"run keys of format {KEY_FORMAT} know no requests of {kind} to API {api!r}"
        raise NoFormError(message) from None


def deliveries_of(kind: str, api: str) -> tuple[Path, ...]:
    """Return the paths of the places where the results of a kind's requests go."""
    return form_of(kind, api).deliveries
