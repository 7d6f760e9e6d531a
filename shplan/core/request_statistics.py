"""
What a request for statistics asks of its outputs: bands that there are, histograms that can be made, a mask that masks.

Source: API description, schemas HistogramDefinition, StatisticsDefinition and CalculationDefinition; the documentation's
page on the Statistical API: bands without names are B0, B1, ...; the default sample type is FLOAT32; a mask of several
bands names the outputs that they are for.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final

from shplan.core.job_input import ScriptOutput, ScriptShape
from shplan.core.request_faults import Fault, Faults, at, number, numbers
from shplan.core.value import Object, Path, Value

DEFAULT: Final = "default"
MASK: Final = "dataMask"
_FORMS: Final = ("nBins", "binWidth", "bins")
_FLOAT, _AUTO = "FLOAT32", "AUTO"
_MOST_NAMED: Final = 8


def calculation_faults(calculations: Value, script: ScriptShape | None, path: Path) -> Faults:
    """
    Return what is wrong with what is to be calculated.

    Args:
        script: None where it is not known
        path: of `calculations` in the body
    """
    if not isinstance(calculations, dict):
        return
    for name, wanted in calculations.items():
        here = (*path, name)
        outputs = _outputs(name, calculations, script)
        for kind in ("histograms", "statistics"):
            stated = at(wanted, kind)
            for band, asked in stated.items() if isinstance(stated, dict) else ():
                place = (*here, kind, band)
                yield from _band_faults(band, name, outputs, script, place)
                if kind == "histograms":
                    yield from _histogram_faults(asked, outputs, place)
                else:
                    yield from _percentile_faults(at(asked, "percentiles", "k"), place)


def _outputs(name: str, calculations: Object, script: ScriptShape | None) -> list[ScriptOutput]:
    """Return the outputs that an entry is for: of `default` those that have none of their own."""
    if script is None:
        return []
    measured = [one for one in script.outputs if one.id != MASK]
    own = [one for one in measured if one.id == name]
    if own or name != DEFAULT:
        return own
    return [one for one in measured if one.id not in calculations]


def bands_of(output: ScriptOutput) -> tuple[str, ...]:
    """Return the names by which statistics call the bands of an output."""
    return output.names or tuple(f"B{index}" for index in range(output.bands))


def _band_faults(
    band: str, name: str, outputs: list[ScriptOutput], script: ScriptShape | None, path: Path
) -> Faults:
    known = [one for output in outputs for one in bands_of(output)]
    if band == DEFAULT or not outputs or band in known:
        return
    # A function of the script may add bands, which have no names then.
    sure = script is not None and not script.changes
    whose = f"output `{outputs[0].id}` has" if len(outputs) == 1 else "the outputs have"
    shown = ", ".join(f"`{one}`" for one in dict.fromkeys(known[:_MOST_NAMED]))
    more = " and more" if len(known) > _MOST_NAMED else ""
    yield Fault(
        path,
        "statistics",
        "No such band",
        f"`{band[:80]}` of `{name[:80]}` is no band; {whose} {shown}{more}.",
        "Bands are called as the `bands` of the output in `setup()` name them, else B0, B1, ...",
        f"write `{known[0]}`" if len(known) == 1 else "write one of them, or `default` for all",
        sure=sure,
    )


# --- histograms ----------------------------------------------------------------------------


def _histogram_faults(asked: Value, outputs: list[ScriptOutput], path: Path) -> Faults:
    if not isinstance(asked, dict):
        return
    forms = [name for name in _FORMS if name in asked]
    if len(forms) != 1:
        yield Fault(
            (*path, forms[1]) if forms else path,
            "statistics",
            "Bins stated twice" if forms else "Bins not stated",
            f"the histogram has {' and '.join(f'`{one}`' for one in forms)}."
            if forms
            else "the histogram says nothing of its bins.",
            "A histogram has one of `nBins`, `binWidth` and `bins`.",
            "keep one of them" if forms else "write e.g. `nBins: 20`",
        )
    wrong = [*_bin_faults(asked, path), *_edge_faults(asked, path)]
    yield from wrong
    if not wrong and len(forms) == 1:
        yield from _kind_faults(asked, outputs, path)


def _bin_faults(asked: Object, path: Path) -> Faults:
    count, width = number(asked.get("nBins")), number(asked.get("binWidth"))
    if count is not None and (count < 1 or not count.is_integer()):
        yield _unusable(
            (*path, "nBins"), f"`nBins` is {count:g}; it is a whole number of 1 or more."
        )
    if width is not None and width <= 0:
        yield _unusable((*path, "binWidth"), f"`binWidth` is {width:g}; it must be greater than 0.")
    edges = numbers(asked.get("bins"))
    if edges is None:
        return
    if len(edges) < 2:
        yield _unusable((*path, "bins"), f"`bins` has {len(edges)} of at least 2 edges.")
    elif any(one >= other for one, other in pairwise(edges)):
        yield _unusable((*path, "bins"), "the edges in `bins` do not ascend.")


def _edge_faults(asked: Object, path: Path) -> Faults:
    low, high = number(asked.get("lowEdge")), number(asked.get("highEdge"))
    if low is not None and high is not None and low >= high:
        yield _unusable(
            (*path, "lowEdge"),
            f"`lowEdge` is {low:g}, and `highEdge` {high:g}: nothing lies between.",
        )
    edges = numbers(asked.get("bins"))
    if not edges:
        return
    for name, stated, own in (("lowEdge", low, edges[0]), ("highEdge", high, edges[-1])):
        if stated is not None and stated != own:
            yield Fault(
                (*path, name),
                "statistics",
                "Edges stated twice",
                f"`{name}` is {stated:g}, and `bins` say {own:g}.",
                "`bins` are all the edges; which of the two counts is not documented.",
                f"remove `{name}`",
                sure=False,
            )


def _unusable(path: Path, what: str) -> Fault:
    return Fault(
        path,
        "statistics",
        "No such histogram",
        what,
        "The service refuses the request, or answers with nothing in the bins.",
    )


def _kind_faults(asked: Object, outputs: list[ScriptOutput], path: Path) -> Faults:
    """Whole numbers choose whole arithmetic, which must be that of the output."""
    edges = [name for name in ("lowEdge", "highEdge") if name in asked]
    listed = asked.get("bins")
    stated = [asked[name] for name in ("binWidth", *edges) if name in asked]
    stated += listed if isinstance(listed, list) else []
    if not stated or any(number(one) is None for one in stated):
        return
    whole = all(isinstance(one, int) for one in stated)
    decides = "bins" in asked or "binWidth" in asked or len(edges) == 2
    for output in outputs:
        kind = _FLOAT if not output.is_typed else output.sample_type
        if whole and decides and kind == _FLOAT:
            yield _other_kind(path, output, kind, "whole numbers", "write them with a point: 1.0")
        elif not whole and kind not in (_FLOAT, _AUTO):
            yield _other_kind(path, output, kind, "fractions", "write whole numbers")


def _other_kind(path: Path, output: ScriptOutput, kind: str, written: str, hint: str) -> Fault:
    return Fault(
        path,
        "statistics",
        "Bins of another kind of numbers",
        f"the bins are {written}, and output `{output.id}` is {kind}.",
        "Bins of whole numbers are for outputs of whole numbers; a deployment may refuse others.",
        hint,
        sure=False,
    )


# --- percentiles ---------------------------------------------------------------------------


def _percentile_faults(asked: Value, path: Path) -> Faults:
    listed = numbers(asked)
    if listed is None:
        return
    place = (*path, "percentiles", "k")
    if not listed:
        yield Fault(
            place,
            "statistics",
            "No percentiles",
            "`k` lists no percentile.",
            hint="write e.g. `k: [5, 50, 95]`, or leave `percentiles` out",
            sure=False,
        )
    elif all(0 <= one <= 1 for one in listed) and any(0 < one < 1 for one in listed):
        shown = ", ".join(f"{100 * one:g}" for one in listed)
        yield Fault(
            place,
            "statistics",
            "Percentiles as fractions",
            f"`k` has only fractions up to {max(listed):g}.",
            "The documentation's examples count to 100, so that 0.5 is half a percent.",
            f"write `k: [{shown}]`",
            sure=False,
        )


# --- the script's outputs ------------------------------------------------------------------


def mask_faults(script: ScriptShape, path: Path) -> Faults:
    """
    Return what is wrong with the outputs of a script that is to be measured; that a mask lacks is said elsewhere.

    Args:
        path: of the script in the body
    """
    measured = [one for one in script.outputs if one.id != MASK]
    mask = next((one for one in script.outputs if one.id == MASK), None)
    if mask is not None and not measured:
        yield Fault(
            path,
            "statistics",
            "Nothing to measure",
            f"the only output of the evalscript is `{MASK}`, which is not measured.",
            "It says which pixels of the other outputs count.",
            'add e.g. `{id: "default", bands: 1}` to the outputs',
            sure=False,
        )
    elif mask is not None:
        yield from _mask_band_faults(mask, [one.id for one in measured], path)
    for one in script.outputs:
        if one.is_typed and one.sample_type == _AUTO:
            yield Fault(
                path,
                "statistics",
                "AUTO in statistics",
                f"output `{one.id}` is AUTO, which stretches 0 to 1 over 0 to 255.",
                "Statistics are FLOAT32 where no sample type is said.",
                'leave `sampleType` out, or write `sampleType: "FLOAT32"`',
                sure=False,
            )


def _mask_band_faults(mask: ScriptOutput, others: list[str], path: Path) -> Faults:
    strange = [name for name in mask.names if name not in others]
    if strange and len(mask.names) > 1:
        what = f"band `{strange[0][:80]}` of output `{MASK}` is called like no other output."
    elif mask.bands > 1 and not mask.names:
        what = f"output `{MASK}` has {mask.bands} bands without names."
    else:
        return
    shown = ", ".join(f'"{one}"' for one in others[:_MOST_NAMED])
    yield Fault(
        path,
        "statistics",
        "Mask of several bands",
        what,
        "A mask has one band, or one for each output that it is for, called as that is.",
        f"write `bands: 1`, or `bands: [{shown}]`" if len(others) > 1 else "write `bands: 1`",
        sure=False,
    )
