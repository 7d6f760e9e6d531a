"""
What the schema of a collection cannot say: names of bands, and no-data in one place only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from shplan.core.diagnostic import Diagnostic
from shplan.core.resource import Desired
from shplan.providers.byoc_collection_bands import bands_of

# Source: ECMA-262, "Names and Keywords": letters beyond ASCII are letters.
_IDENTIFIER = re.compile(r"(?:[^\W\d]|\$)[\w$]*")
# Source: ECMA-262, section "Keywords and Reserved Words".
_RESERVED = frozenset(
    [
        "await",
        "break",
        "case",
        "catch",
        "class",
        "const",
        "continue",
        "debugger",
        "default",
        "delete",
        "do",
        "else",
        "enum",
        "export",
        "extends",
        "false",
        "finally",
        "for",
        "function",
        "if",
        "implements",
        "import",
        "in",
        "instanceof",
        "interface",
        "let",
        "new",
        "null",
        "package",
        "private",
        "protected",
        "public",
        "return",
        "static",
        "super",
        "switch",
        "this",
        "throw",
        "true",
        "try",
        "typeof",
        "var",
        "void",
        "while",
        "with",
        "yield",
    ]
)


def check_band_names(desired: Desired) -> Iterator[Diagnostic]:
    """Refuse names that no evalscript can say."""
    # Source: documentation of BYOC: a band's name is used in evalscripts, so it is a valid
    # JavaScript identifier and no reserved word.
    for name in bands_of(desired.spec):
        if not _IDENTIFIER.fullmatch(name) or name in _RESERVED:
            yield Diagnostic(
                code="manifest/band-name",
                summary="Band name is not a JavaScript identifier",
                what=f"{desired.address} names a band {name!r}.",
                why="Evalscripts read the band as `sample.<name>`.",
                hint=f"write `B{name}:` with `source: {name!r}`" if name[:1].isdigit() else "",
                span=desired.source.span(("spec", "additionalData", "bands", name)),
                address=str(desired.address),
            )


def check_no_data(desired: Desired) -> Iterator[Diagnostic]:
    """Refuse a no-data value on both levels."""
    # Source: schema BYOCFormat: no-data stands either on the bands or on the collection.
    bands = bands_of(desired.spec)
    own = [name for name, band in bands.items() if isinstance(band, dict) and "noData" in band]
    if own and desired.spec.get("noData") is not None:
        yield Diagnostic(
            code="manifest/no-data-twice",
            summary="No-data value stated twice",
            what=f"{desired.address} states `noData` for the collection and for band {own[0]}.",
            why="The service takes it either for the collection or for each band.",
            hint="remove one of the two",
            span=desired.source.span(("spec", "noData")),
            address=str(desired.address),
        )
