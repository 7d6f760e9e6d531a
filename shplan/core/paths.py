"""
Delivery paths of batch processing: what a template names, and which templates collide.

Source: API reference, path templates: placeholders `<requestId>`, `<tileName>`,
`<outputId>`, `<format>`, in version 1 also `<tileId>`; a plain prefix means `/<requestId>/<tileName>/<outputId>.<format>`
below it; a Zarr path knows `<requestId>` only and names a folder.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

REQUEST_ID = "<requestId>"
TILE_NAME = "<tileName>"
OUTPUT_ID = "<outputId>"
FORMAT = "<format>"
TILE_ID = "<tileId>"
# What the asynchronous and the statistical API call the id that the service mints.
MINTED = (REQUEST_ID, "<REQUEST_ID>")
PLACEHOLDERS = (REQUEST_ID, TILE_NAME, OUTPUT_ID, FORMAT)
PLACEHOLDERS_V1 = (REQUEST_ID, TILE_NAME, TILE_ID, OUTPUT_ID, FORMAT)
BELOW_PREFIX = f"/{REQUEST_ID}/{TILE_NAME}/{OUTPUT_ID}.{FORMAT}"
# Source: API reference, Process: members are `default.tif`, `userdata.json`.
_EXTENSIONS = {"image/tiff": "tif", "application/json": "json"}
PLACEHOLDER = re.compile(r"<[^<>/]*>")
_ANY = PLACEHOLDER
_URL = re.compile(r"(?:s3|gs)://[^/<>]+(?:/.*)?", re.DOTALL)
# Spellings of the asynchronous and the statistical API, and of Batch V1.
_ELSEWHERE = {
    "<REQUEST_ID>": REQUEST_ID,
    "<OUTPUT>": OUTPUT_ID,
    "<ID>": TILE_NAME,
    "<IDENTIFIER>": TILE_NAME,
    TILE_ID: TILE_NAME,
}


class Delivery(Enum):
    """What is delivered: files made by a template, or one folder."""

    RASTER = "raster"
    ZARR = "zarr"


@dataclass(frozen=True, slots=True)
class TemplateProblem:
    """What is wrong with a delivery path, and what would be right."""

    what: str
    why: str
    hint: str


def expand_template(
    url: str, *, tile_name: str, output_id: str, media_type: str, request_id: str | None = None
) -> str:
    """
    Return the place of one file; `<requestId>` stays while no id is known.

    Args:
        url: as the manifest has it, with placeholders or as a plain prefix
        tile_name: of the tile, or the identifier of the feature
        output_id: identifier of the response
        media_type: of the response's format
        request_id: of the task
    """
    extension = _EXTENSIONS.get(media_type, media_type.rpartition("/")[2])
    values = {TILE_NAME: tile_name, OUTPUT_ID: output_id, FORMAT: extension}
    if request_id is not None:
        values[REQUEST_ID] = request_id
    return _ANY.sub(lambda match: values.get(match[0], match[0]), full_template(url))


def full_template(url: str) -> str:
    """Return the template that a path stands for: a plain prefix means the usual one below it."""
    return url if is_template(url) else url.rstrip("/") + BELOW_PREFIX


def is_template(url: str) -> bool:
    """Tell whether a path has a placeholder, a misspelt one included."""
    return bool(_ANY.search(url))


def has_request_id(url: str, *, delivery: Delivery = Delivery.RASTER) -> bool:
    """Tell whether each task delivers to places of its own."""
    return holds_minted(url if delivery is Delivery.ZARR else full_template(url))


def holds_minted(template: str) -> bool:
    """Tell whether a template has the id in it that the service mints for one task."""
    return any(one in template for one in MINTED)


def with_minted(template: str, task: str) -> str:
    """Put the id of a task where a template has the service put it."""
    for one in MINTED:
        template = template.replace(one, task)
    return template


def template_root(url: str) -> str:
    """
    Return the folder that execution database and manifest lie in, with its last slash.

    Source: API reference: "the root of the delivery path"; read as the fixed part before the
    first placeholder, up to its last slash. A plain prefix is a folder itself.
    """
    fixed = fixed_start(url)
    return fixed[: fixed.rindex("/") + 1] if "/" in fixed else fixed


def fixed_start(url: str) -> str:
    """Return what every place of a template begins with: the text before the first placeholder."""
    return _ANY.split(full_template(url), maxsplit=1)[0]


def template_problems(
    url: str,
    outputs: Sequence[str],
    *,
    delivery: Delivery = Delivery.RASTER,
    placeholders: Sequence[str] = PLACEHOLDERS,
) -> tuple[TemplateProblem, ...]:
    """
    Return what is wrong with a delivery path, in the order of the path.

    Args:
        url: as the manifest has it
        outputs: identifiers of the responses
        delivery: raster or Zarr
        placeholders: those that the API knows
    """
    known = (REQUEST_ID,) if delivery is Delivery.ZARR else tuple(placeholders)
    found = [] if _URL.fullmatch(url) else [_not_a_bucket(url)]
    named = dict.fromkeys(_ANY.findall(url))
    found += [_unknown(one, known) for one in named if one not in known]
    if set(_ANY.sub("", url)) & {"<", ">"}:
        found.append(_unpaired(url))
    if delivery is Delivery.RASTER and is_template(url):
        misspelt = {_nearest(one, known) for one in named if one not in known}
        found += _missing(url, outputs, misspelt=misspelt, known=known)
    return tuple(found)


def same_places(
    left: str,
    right: str,
    *,
    deliveries: tuple[Delivery, Delivery] = (Delivery.RASTER, Delivery.RASTER),
) -> bool:
    """
    Tell whether two tasks may write one object: no only where that is sure.

    A placeholder stands for any text, but an id that the service mints for one task stands in
    no other task's paths: only a Zarr folder, which is all that lies in it, can hold them.
    """
    patterns = [
        _folder(url) if delivery is Delivery.ZARR else full_template(url)
        for url, delivery in zip((left, right), deliveries, strict=True)
    ]
    held = [holds_minted(one) for one in patterns]
    if all(held) or (any(held) and deliveries[held.index(False)] is Delivery.RASTER):
        return False
    return _may_meet(*(_ANY.split(one) for one in patterns))


def _folder(url: str) -> str:
    """Return a template for everything in a folder."""
    return url.rstrip("/") + f"/{TILE_NAME}"


def _not_a_bucket(url: str) -> TemplateProblem:
    scheme, found, rest = url.partition("://")
    # Of a web address the first part is a server, and no bucket.
    likely = f"s3://{rest if found else url.lstrip('/')}"
    mendable = _URL.fullmatch(likely) and scheme.lower() not in ("http", "https")
    return TemplateProblem(
        f"the delivery path is {url or 'empty'}.",
        "Results are delivered to a bucket, given as s3://bucket/path or gs://bucket/path.",
        f"write `{likely}`" if mendable else "name the bucket, as in `s3://bucket/path`",
    )


def _unknown(placeholder: str, known: Sequence[str]) -> TemplateProblem:
    nearest = _nearest(placeholder, known)
    return TemplateProblem(
        f"the delivery path has the placeholder {placeholder}.",
        f"Batch processing knows {', '.join(known)}.",
        f"did you mean `{nearest}`?" if nearest else f"leave {placeholder} out",
    )


def _unpaired(url: str) -> TemplateProblem:
    return TemplateProblem(
        f"the delivery path {url} has an angle bracket without its other half.",
        "A placeholder stands in angle brackets and holds no slash.",
        f"close it, as in `{TILE_NAME}`, or leave the bracket out",
    )


def _nearest(placeholder: str, known: Sequence[str]) -> str | None:
    elsewhere = _ELSEWHERE.get(placeholder)
    if elsewhere in known:
        return elsewhere
    by_letters = {_letters(one): one for one in known}
    near = difflib.get_close_matches(_letters(placeholder), by_letters, n=1, cutoff=0.6)
    return by_letters[near[0]] if near else None


def _letters(placeholder: str) -> str:
    return re.sub(r"[^a-z]", "", placeholder.lower())


def _missing(
    url: str, outputs: Sequence[str], *, misspelt: set[str | None], known: Sequence[str]
) -> list[TemplateProblem]:
    found: list[TemplateProblem] = []
    folder, name, extension = _file_of(url)
    marks = {TILE_NAME, TILE_ID} if TILE_ID in known else {TILE_NAME}
    if not any(mark in url for mark in marks) and not marks & misspelt:
        found.append(
            TemplateProblem(
                f"the delivery path {url} has no {TILE_NAME}.",
                "Without it all tiles would be written to one place.",
                f"write `{folder}/{TILE_NAME}/{name or OUTPUT_ID}.{extension}`"
                if not name or OUTPUT_ID in url or len(outputs) < 2
                else f"write `{folder}/{TILE_NAME}/{name}/{OUTPUT_ID}.{extension}`",
            )
        )
    if len(outputs) > 1 and OUTPUT_ID not in url and OUTPUT_ID not in misspelt:
        found.append(
            TemplateProblem(
                f"the delivery path {url} has no {OUTPUT_ID}, and there are {len(outputs)} outputs.",
                f"Without it {', '.join(outputs)} of a tile would be written to one place.",
                f"write `{folder}{f'/{name}' if name else ''}/{OUTPUT_ID}.{extension}`",
            )
        )
    return found


def _file_of(url: str) -> tuple[str, str, str]:
    """Return the folder, the name and the extension of what a path says; of a folder there is no name."""
    folder, _, last = url.rstrip("/").rpartition("/")
    name, dot, extension = last.rpartition(".")
    # Of `s3://my.bucket` it is the bucket that has a dot.
    if not dot or not name or folder.endswith("/"):
        return url.rstrip("/"), "", FORMAT
    return folder, name, extension


def _may_meet(one: list[str], other: list[str]) -> bool:
    """
    Tell whether two patterns, texts with any text between them, have a text in common.

    Beginning and end are fixed and have to fit. If both have a gap, whatever stands between
    fits into the other's gap; only a text without a gap has to hold the other's parts in order.
    """
    if not _fits(one[0], other[0], str.startswith) or not _fits(one[-1], other[-1], str.endswith):
        return False
    if len(one) > 1 and len(other) > 1:
        return True
    text, parts = (one[0], other) if len(one) == 1 else (other[0], one)
    return has_parts(text, parts)


def has_parts(text: str, parts: Sequence[str], *, least: int = 0) -> bool:
    """
    Tell whether a text is these parts in this order, with any text between them.

    The time grows with the lengths alone; a regular expression with many gaps may take for ever.

    Args:
        least: how many characters there are at least between two parts
    """
    first, *between = parts
    if not between:
        return text == first
    *between, last = between
    at, end = len(first), len(text) - len(last)
    if not text.startswith(first) or not text.endswith(last):
        return False
    for part in between:
        found = text.find(part, at + least, max(end, 0))
        if found < 0:
            return False
        at = found + len(part)
    return end - at >= least


def _fits(one: str, other: str, begins: Callable[[str, str], bool]) -> bool:
    return begins(one, other) or begins(other, one)
