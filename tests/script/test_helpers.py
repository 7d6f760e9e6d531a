"""
The globals of scripts, against the values that the documentation works out.

Source: Evalscript, "Utilities".
"""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shplan.script import Worker
from tests.script.scripts import ENGINES, returning

RAMP = "new ColorRampVisualizer([[200, 0xff0000], [300, 0x0000ff]])"
GRADIENT = "new ColorGradientVisualizer([[200, 0xff0000], [300, 0x0000ff]])"
MAP = "new ColorMapVisualizer([[200, 0xff0000], [300, 0x0000ff]])"
HIGHLIGHT = "new HighlightCompressVisualizer(0.1, 0.4)"
FIVE = "[1, 3, 5, 7, 10], [100, 300, 500, 700, 900]"
QA = dict.fromkeys(["fill", "dilatedCloud", "cloudShadow", "snow", "clear", "water"], 0) | {
    "cirrus": 1,
    "cloud": 1,
    "cloudConfidence": 3,
    "cirrusConfidence": 3,
    "cloudShadowConfidence": 1,
    "snowIceConfidence": 1,
}


def eighths(*channels: int) -> list[float]:
    return [channel / 255 for channel in channels]


WORKED: list[tuple[str, object]] = [
    (f"{MAP}.process(199)", [1, 0, 0]),
    (f"{MAP}.process(200)", [1, 0, 0]),
    (f"{MAP}.process(250)", [1, 0, 0]),
    (f"{MAP}.process(299)", [1, 0, 0]),
    (f"{MAP}.process(300)", [0, 0, 1]),
    (f"{MAP}.getColorFromValue(300)", [0, 0, 1]),
    ("ColorMapVisualizer.createDefaultColorMap().process(-5)", [0, 0, 0]),
    ("ColorMapVisualizer.createDefaultColorMap().process(0.05)", [0.4, 0, 0]),
    ("ColorMapVisualizer.createDefaultColorMap().process(2)", [0, 0.4, 0]),
    (f"{RAMP}.process(199)", [1, 0, 0]),
    (f"{RAMP}.process(200)", [1, 0, 0]),
    (f"{RAMP}.process(250)", [0.4980392156862745, 0, 0.4980392156862745]),
    (f"{RAMP}.process(299)", [0.00784313725490196, 0, 0.9882352941176471]),
    (f"{RAMP}.process(300)", [0, 0, 1]),
    (f"{RAMP}.inverse().process(200)", [0, 0, 1]),
    (f"{RAMP}.inverse().process(300)", [1, 0, 0]),
    (f"{GRADIENT}.process(250)", [0.5019607843137255, 0, 0.5019607843137255]),
    (f"{GRADIENT}.process(299)", [0.011764705882352941, 0, 0.9882352941176471]),
    ("new ColorRampVisualizer([[200, [1, 0, 0]], [300, [0, 0, 1]]]).process(300)", [0, 0, 1]),
    (
        "new ColorRampVisualizer([[0, 0], [1, 0xffffff]], 10, 20).process(15)",
        eighths(127, 127, 127),
    ),
    # Ascending positions, colours in the order of the list.
    ("ColorRampVisualizer.createRedTemperature(0, 1).process(0)", [0, 0, 0]),
    ("ColorRampVisualizer.createRedTemperature(0, 1).process(0.25)", eighths(0xAE, 0, 0)),
    ("ColorRampVisualizer.createRedTemperature(0, 1).process(1)", [1, 1, 1]),
    ("ColorRampVisualizer.createBlueRed(10, 20).process(10)", eighths(0, 0, 0x80)),
    *(
        (f"ColorRampVisualizer.create{palette}(0, 1).process({value})", color)
        for palette, colors in {
            "RedTemperature": {
                0.3: [1, 0.43137254901960786, 0],
                0.5: [1, 0.5137254901960784, 0],
                0.8: [1, 0.8, 0.5764705882352941],
            },
            "WhiteGreen": {
                0: [0, 0, 0],
                0.3: [0, 0.4, 0],
                0.5: [0.3333333333333333, 0.6, 0],
                0.8: [0.7490196078431373, 0.8509803921568627, 0.4980392156862745],
            },
            "BlueRed": {
                0: [0, 0, 0.5019607843137255],
                0.3: [0, 0.6980392156862745, 1],
                0.5: [0.4980392156862745, 1, 0.4980392156862745],
                0.8: [1, 0.2980392156862745, 0],
                1: [0.5019607843137255, 0, 0],
            },
        }.items()
        for value, color in colors.items()
    ),
    # At a stop, its colour; half way, the truncated mean.
    ("ColorRampVisualizer.createOceanColor(0, 1).process(0)", eighths(147, 0, 108)),
    ("ColorRampVisualizer.createOceanColor(0, 1).process(0.2)", eighths(0, 10, 255)),
    ("ColorRampVisualizer.createOceanColor(0, 10).process(9.745)", eighths(135, 0, 0)),
    ("ColorGradientVisualizer.createOceanColor(0, 1).process(0.2)", eighths(0, 10, 255)),
    ("ColorRampVisualizer.createOceanColor(0, 1).process(1)", eighths(105, 0, 0)),
    ("ColorRampVisualizer.createWhiteGreen(0, 1).process(1)", [1, 1, 1]),
    # The gradient reads the same palettes from the other end.
    ("ColorGradientVisualizer.createRedTemperature(0, 1).process(0)", [0, 0, 0]),
    ("ColorGradientVisualizer.createRedTemperature(0, 1).process(1)", [1, 1, 1]),
    ("ColorGradientVisualizer.createWhiteGreen(0, 1).process(0)", [0, 0, 0]),
    ("ColorGradientVisualizer.createWhiteGreen(0, 1).process(1)", [1, 1, 1]),
    (
        "ColorGradientVisualizer.createRedTemperature(0, 1).process(0.3)",
        [0.43137254901960786, 0, 0],
    ),
    (
        "ColorGradientVisualizer.createRedTemperature(0, 1).process(0.5)",
        [0.7176470588235294, 0.047058823529411764, 0],
    ),
    (
        "ColorGradientVisualizer.createRedTemperature(0, 1).process(0.8)",
        [1, 0.6196078431372549, 0.2],
    ),
    ("ColorGradientVisualizer.createWhiteGreen(0, 1).process(0.3)", [0, 0.2980392156862745, 0]),
    (
        "ColorGradientVisualizer.createWhiteGreen(0, 1).process(0.5)",
        [0.16862745098039217, 0.5019607843137255, 0],
    ),
    (
        "ColorGradientVisualizer.createWhiteGreen(0, 1).process(0.8)",
        [0.6666666666666666, 0.8, 0.3333333333333333],
    ),
    ("ColorGradientVisualizer.createBlueRed(0, 1).process(0)", [0, 0, 0.5019607843137255]),
    ("ColorGradientVisualizer.createBlueRed(0, 1).process(0.3)", [0, 0.7019607843137254, 1]),
    (
        "ColorGradientVisualizer.createBlueRed(0, 1).process(0.5)",
        [0.5019607843137255, 1, 0.5019607843137255],
    ),
    ("ColorGradientVisualizer.createBlueRed(0, 1).process(0.8)", [1, 0.2980392156862745, 0]),
    ("ColorGradientVisualizer.createBlueRed(0, 1).process(1)", [0.5019607843137255, 0, 0]),
    (f"{HIGHLIGHT}.process(0)", 0),
    (f"{HIGHLIGHT}.process(0.1)", 0),
    (f"{HIGHLIGHT}.process(0.25)", 0.5),
    (f"{HIGHLIGHT}.process(0.376)", 0.92),
    (f"{HIGHLIGHT}.process(0.4)", 0.925926),
    (f"{HIGHLIGHT}.process(0.7)", 1),
    (f"{HIGHLIGHT}.process(1.1)", 1),
    (f"{HIGHLIGHT}.processList([0.1, 0.25, 0.7])", [0, 0.5, 1]),
    ("new HighlightCompressVisualizer().process(0.5)", 0.5),
    ("new HighlightCompressVisualizer([0, 0.2], [1, 0.4]).process(0.3, 1)", 0.5),
    ("new HighlightCompressVisualizerSingle(0, 1).process(0.5)", [0.5]),
    ("new DefaultVisualizer(0, 2).process(1.9)", 0.95),
    ("new DefaultVisualizer(0, 2).processList([1, 5])", [0.5, 1]),
    ("new Identity().process(7)", [7]),
    ("new Identity().processList([7, 8])", [7, 8]),
    ("int2rgb(255)", [0, 0, 255]),
    ("int2rgb(256)", [0, 1, 0]),
    ("int2rgb(65537)", [1, 0, 1]),
    ("rgb2int([0, 0, 255])", 255),
    ("rgb2int([0, 1, 0])", 256),
    ("rgb2int([1, 0, 1])", 65537),
    ("normalizeRGB([0, 51, 255])", [0, 0.2, 1]),
    ("combine([100, 0, 0], [0, 100, 0], 1)", [100, 0, 0]),
    ("combine([100, 0, 0], [0, 100, 0], 0)", [0, 100, 0]),
    ("combine([100, 0, 0], [0, 100, 0], 0.5)", [50, 50, 0]),
    ("index(0.6, 0.4)", 0.2),
    ("index(0.5, -0.5)", 0),
    ("inverse(2.0)", 0.5),
    ("inverse(5.0)", 0.2),
    ("inverse(0)", 1.7976931348623157e308),
    (f"valueMap(5, {FIVE})", 500),
    (f"valueMap(1, {FIVE})", 100),
    (f"valueMap(2, {FIVE})", 300),
    (f"valueMap(12, {FIVE})", 900),
    ("valueMap(50)", 50),
    ("valueInterpolate(9, [-10, -5, 0, 5, 10], [-1000, -50, 0, 50, 1000])", 810),
    ("valueInterpolate(0, [-10, -5, 0, 5, 10], [-1000, -50, 0, 50, 1000])", 0),
    ("valueInterpolate(-10, [-10, -5, 0, 5, 10], [-1000, -50, 0, 50, 1000])", -1000),
    (
        "valueInterpolate(0.1, [0, 0.2, 0.4], [[0, 0, 0], [0.1, 0.2, 0.5], [0.25, 0.4, 0.5]])",
        [0.05, 0.1, 0.25],
    ),
    ("valueInterpolate(NaN, [0, 1], [[1, 2], [3, 4]]).every(Number.isNaN)", True),
    ("valueInterpolate(50)", 50),
    ("valueInterpolate(-50, [0, 1], [[1, 2], [3, 4]])", [1, 2]),
    ("colorBlend(0.5, [0, 1], [[0, 0, 0], [1, 0.5, 0]])", [0.5, 0.25, 0]),
    ("decodeL8C2Qa(55052)", QA),
    ("JAVA_DOUBLE_MAX_VAL === Number.MAX_VALUE", True),
    ("[blueRed, redTemperature, greenWhite, oceanColor].map((p) => p.length)", [6, 5, 4, 21]),
    ("SampleType.FLOAT32 + Mosaicking.ORBIT", "FLOAT32ORBIT"),
]


def values_of(worker: Worker, expressions: list[str]) -> list[object]:
    """Evaluate expressions in one script; their values come out as ids of outputs."""
    shown = ", ".join(
        f"{{bands: 1, id: {n} + JSON.stringify({e})}}" for n, e in enumerate(expressions)
    )
    facts = worker.facts(returning(f'{{input: ["B04"], output: [{shown}]}}'))
    return [json.loads(one.id[len(str(n)) :]) for n, one in enumerate(facts.outputs)]


def test_worked_values_come_out(worker: Worker) -> None:
    found = values_of(worker, [expression for expression, _ in WORKED])
    wrong = [
        (expression, value, wanted)
        for (expression, wanted), value in zip(WORKED, found, strict=True)
        if value
        != (pytest.approx(wanted, rel=1e-6) if isinstance(wanted, list | float) else wanted)
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (2**31, "land"),
        (2**30, "coastline"),
        (2**29, "fresh_inland_water"),
        (2**28, "tidal_region"),
        (2**27, "bright"),
        (2**26, "straylight_risk"),
        (2**25, "invalid"),
        (2**24, "cosmetic"),
        (2**23, "duplicated"),
        (2**22, "sun_glint_risk"),
        (2**21, "dubious"),
        (2**20, "saturatedB01"),
        (1, "saturatedB21"),
    ],
)
def test_each_flag_of_olci_has_its_bit(number: int, name: str, workers: dict[str, Worker]) -> None:
    (flags,) = values_of(workers["quickjs"], [f"decodeS3OLCIQualityFlags({number})"])
    assert isinstance(flags, dict)
    assert len(flags) == 32
    assert {one for one, value in flags.items() if value} == {name}


def test_a_colour_may_be_pushed_onto(worker: Worker) -> None:
    """Scripts add their alpha to what they are given."""
    makers = [RAMP, GRADIENT, MAP, "ColorMapVisualizer.createDefaultColorMap()"]
    twice = [f"((v) => (v.process(250).push(1), v.process(250).length))({one})" for one in makers]
    blend = "((c) => (colorBlend(0, [0, 1], c).push(1), colorBlend(0, [0, 1], c).length))"
    assert values_of(worker, [*twice, f"{blend}([[0, 0, 0], [1, 1, 1]])"]) == [3] * 5


def test_palettes_are_not_changed_by_use(worker: Worker) -> None:
    uses = [
        f"{kind}.create{name}(0, 1).process(0.4)"
        for kind in ("ColorRampVisualizer", "ColorGradientVisualizer")
        for name in ("RedTemperature", "WhiteGreen", "BlueRed", "OceanColor")
    ]
    before, *_, after = values_of(worker, ["[blueRed, greenWhite]", *uses, "[blueRed, greenWhite]"])
    assert before == after


@given(st.lists(st.floats(-2, 3, allow_nan=False), min_size=1, max_size=20))
@settings(max_examples=20)
def test_a_colour_is_between_those_it_is_made_of(
    workers: dict[str, Worker], numbers: list[float]
) -> None:
    """And rises with its value, under both engines alike."""
    ramp = "new ColorRampVisualizer([[0, [0.2, 0, 0]], [1, [0.8, 0, 0]]])"
    ordered = sorted(numbers)
    found = [
        values_of(workers[engine], [f"{ramp}.process({x!r})[0]" for x in ordered])
        for engine in ENGINES
    ]
    assert found[0] == found[1]
    reds = [one for one in found[0] if isinstance(one, int | float)]
    assert reds == sorted(reds)
    assert all(0.2 - 1 / 255 <= one <= 0.8 for one in reds)


@pytest.mark.parametrize("limits", ["", ", 0, 3000"])
def test_a_ramp_may_be_listed_from_either_end(worker: Worker, limits: str) -> None:
    """Heights are published with the summits first; the sea is blue all the same."""
    stops = ["[0, 0x0000ff]", "[1000, 0x00ff00]", "[3000, 0xffffff]"]
    heights = (-5, 0, 400, 1000, 2999, 4000)
    ramps = [
        f"new ColorRampVisualizer([{','.join(one)}]{limits})" for one in (stops, [*reversed(stops)])
    ]
    rising, falling = (
        values_of(worker, [f"{ramp}.process({height})" for height in heights]) for ramp in ramps
    )
    assert falling == rising
    assert [falling[1], falling[3], falling[5]] == [[0, 0, 1], [0, 1, 0], [1, 1, 1]]


@pytest.mark.parametrize(
    ("palette", "factory"),
    [("blueRed", "BlueRed"), ("redTemperature", "RedTemperature"), ("greenWhite", "WhiteGreen")],
)
def test_a_factory_is_the_ramp_of_its_palette(worker: Worker, palette: str, factory: str) -> None:
    """The worked values are those of the factories; a script may name the palette as well."""
    values = (0, 0.1, 0.3, 0.5, 0.8, 1)
    made = (
        f"new ColorRampVisualizer({palette}, 0, 1)",
        f"ColorRampVisualizer.create{factory}(0, 1)",
    )
    own, ready = (values_of(worker, [f"{one}.process({v})" for v in values]) for one in made)
    assert own == ready


def test_every_helper_can_be_replaced_or_deleted(worker: Worker) -> None:
    names = ["index", "SampleType", "ColorRampVisualizer", "blueRed", "combine"]
    replaced = [f"(globalThis.{one} = 5, {one}) === 5" for one in names]
    assert values_of(worker, replaced) == [True] * len(names)
    deleted = [f"delete globalThis.{one}" for one in names]
    assert values_of(worker, deleted) == [True] * len(names)
