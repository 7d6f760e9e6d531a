"""
A Batch V1 body in the words of Batch V2, and what changes its meaning on the way.

Each function moves what it is about inside the tree and tells what a person has to know. Source: the
guide from version 1 to 2; the older batch reference; the documentation of Batch V2.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from shplan.core.diagnostic import Diagnostic, Severity, SourceSpan
from shplan.core.grids import grid_by_id, grids
from shplan.core.key_format import holds_key
from shplan.core.marker import read_marker, without_marker
from shplan.core.paths import REQUEST_ID, TILE_ID, TILE_NAME, full_template
from shplan.core.value import JsonObject, Path
from shplan.manifest.collections import older_names
from shplan.manifest.yaml_tree import Map, Node, from_json, new_map, put, take
from shplan.schema import store as tables

TARGETS = ("output", "bucketName", "zarrOutput")
# What the service adds to the answers that show a request. Source: BatchProcessRequest.
READ_ONLY = (
    "id",
    "userId",
    "accountId",
    "created",
    "valueEstimate",
    "tileCount",
    "tileWidthPx",
    "tileHeightPx",
    "userAction",
    "userActionUpdated",
    "status",
    "error",
)
_KNOWN = (
    "processRequest",
    "tilingGrid",
    "tilingGridId",
    "resolution",
    *TARGETS,
    "description",
    *READ_ONLY,
)
# Source: BatchProcessOutput, BatchZarrParameters.
_KNOWN_OUTPUT = {
    "output": (
        "defaultTilePath",
        "overwrite",
        "skipExisting",
        "cogOutput",
        "cogParameters",
        "createCollection",
        "collectionId",
    ),
    "zarrOutput": ("path", "group", "arrayParameters", "arrayOverrides"),
}
_BLOCK_V1 = 1024
_KEYS = {
    "accessKey": "{{ secret('env:AWS_ACCESS_KEY_ID') }}",
    "secretAccessKey": "{{ secret('env:AWS_SECRET_ACCESS_KEY') }}",
}
# Of no field of version 1, and pasted all the same.
SECRETS = frozenset({*_KEYS, "credentials"})
_ORDER = ("processRequest", "input", "output", "description")
_GS = re.compile(r"gs://")


@dataclass(slots=True)
class Report:
    """
    What a rewriting has to tell, each thing at its place.

    Args:
        span: finds the place of a path below the body
        subject: how the body is called, e.g. `BatchProcess/ndvi`
        left_out: something has no counterpart, and is missing in the result
        failed: without it there is no result
    """

    span: Callable[[Path], SourceSpan]
    subject: str
    found: list[Diagnostic] = field(default_factory=list)
    left_out: bool = False
    failed: bool = False

    def changed(self, code: str, path: Path, what: str, why: str = "", hint: str = "") -> None:
        """Tell what means something else now."""
        self._add(code, "Meaning changed", path, what, why, hint, Severity.WARNING)

    def moved(self, code: str, path: Path, what: str) -> None:
        """Tell what is said in other words, and means the same."""
        self._add(code, "Said in other words", path, what, "", "", Severity.WARNING)

    def leave_out(self, code: str, path: Path, what: str, why: str = "", hint: str = "") -> None:
        """Tell what the result does not say any more."""
        self.left_out = True
        self._add(code, "Left out: no counterpart", path, what, why, hint, Severity.WARNING)

    def fail(self, code: str, path: Path, what: str, why: str = "", hint: str = "") -> None:
        """Tell what cannot be translated, so that nothing is written."""
        self.failed = True
        self._add(code, "Cannot be translated", path, what, why, hint, Severity.ERROR)

    def _add(
        self,
        code: str,
        summary: str,
        path: Path,
        what: str,
        why: str,
        hint: str,
        severity: Severity,
    ) -> None:
        self.found.append(
            Diagnostic(
                f"migrate/{code}",
                summary,
                f"{self.subject}: {what}",
                why,
                hint,
                self.span(path),
                severity=severity,
            )
        )


def is_body(tree: Node) -> bool:
    """Tell whether a mapping is a request of version 1."""
    if not isinstance(tree, dict) or "processRequest" not in tree:
        return False
    older = ("tilingGrid", "tilingGridId", "bucketName", "zarrOutput")
    output = tree.get("output")
    has_path = isinstance(output, dict) and "defaultTilePath" in output
    return has_path or any(name in tree for name in older)


def translate(body: Map, report: Report, *, table: JsonObject, role: str = "") -> None:
    """
    Rewrite a body in place.

    Args:
        table: the tiling grids
        role: ARN of the role by which the service writes; empty: keys from the environment
    """
    _leave_out_unknown(body, report)
    _description(body, report)
    _grid(body, report, table)
    _process(body, report)
    _target(body, report, role)
    for name in _ORDER:
        if name in body:
            value, comment = take(body, name)
            put(body, name, value, comment=comment)


def _leave_out_unknown(body: Map, report: Report) -> None:
    server = [name for name in READ_ONLY if name in body]
    if server:
        named = ", ".join(f"`{name}`" for name in server)
        report.moved("read-only", (server[0],), f"{named}: the service's own, and left away.")
    for name in server:
        take(body, name)
    for name in [one for one in body if one not in _KNOWN]:
        report.leave_out("unknown", (name,), f"`{name}` is no field of a request of version 1.")
        take(body, name)


def _description(body: Map, report: Report) -> None:
    text = body.get("description")
    if isinstance(text, str) and read_marker(text) is not None:
        report.changed("marker", ("description",), "the marker of the earlier task is taken off.")
        body["description"] = without_marker(text)
    if body.get("description", "-") in ("", None):
        take(body, "description")


# --- the grid ------------------------------------------------------------------------------


def _grid(body: Map, report: Report, table: JsonObject) -> None:
    for name in ("tilingGridId", "resolution"):
        if "tilingGrid" in body and name in body:
            take(body, name)
            report.moved("grid", (name,), f"`{name}` is left away: `tilingGrid` says it.")
    if "tilingGrid" not in body and not _older_grid(body, report):
        return
    grid = body.get("tilingGrid")
    if not isinstance(grid, dict):
        hint = "write id and resolution out" if grid is not None else ""
        report.fail("grid", ("tilingGrid",), "its tiling grid cannot be read.", hint=hint)
        return
    put(grid, "type", "tiling-grid", at=0)
    _check_grid(grid, report, table)
    value, comment = take(body, "tilingGrid")
    put(body, "input", value, comment=comment)


def _older_grid(body: Map, report: Report) -> bool:
    """Say a grid in the newer way; false where it is not said at all."""
    names = {"tilingGridId": "id", "resolution": "resolution"}
    missing = [name for name in names if name not in body]
    if missing:
        report.fail("grid", (), f"it says no `{missing[0]}`, and has no `tilingGrid`.")
        return False
    grid = new_map()
    for old, new in names.items():
        value, comment = take(body, old)
        put(grid, new, value, comment=comment)
    put(body, "tilingGrid", grid)
    return True


def _check_grid(grid: Map, report: Report, table: JsonObject) -> None:
    number, resolution = grid.get("id"), grid.get("resolution")
    known = grid_by_id(table, number) if isinstance(number, int) else None
    if isinstance(number, int) and known is None:
        offered = ", ".join(f"{one.id} ({one.name})" for one in grids(table))
        report.fail(
            "grid",
            ("tilingGrid", "id"),
            f"Batch V2 has no tiling grid {number}.",
            f"It has {offered}. Another grid cuts other tiles, of other names and price.",
            "choose one of them before",
        )
    if known is None or not isinstance(resolution, int | float):
        return
    if float(resolution) not in known.resolutions:
        listed = ", ".join(f"{one:g}" for one in known.resolutions)
        report.fail(
            "resolution",
            ("tilingGrid", "resolution"),
            f"grid {known.id} ({known.name}) has no resolution {float(resolution):g} in Batch V2.",
            f"It has {listed}. Another resolution gives other images at another price.",
            "choose one of them before",
        )


# --- what is processed ---------------------------------------------------------------------


def _process(body: Map, report: Report) -> None:
    process = body.get("processRequest")
    if not isinstance(process, dict):
        report.fail("body", ("processRequest",), "its `processRequest` cannot be read.")
        return
    output = process.get("output")
    if output is None or (isinstance(output, dict) and not output.get("responses")):
        tiff = {"responses": [{"identifier": "default", "format": {"type": "image/tiff"}}]}
        put(process, "output", from_json(tiff))  # type: ignore[arg-type]
        report.changed(
            "responses",
            ("processRequest",),
            "`output.responses` is written out: version 2 wants every output named.",
            "Here it is the output `default` as image/tiff, which version 1 took for granted.",
            "add the other outputs of `setup()`, if there are any",
        )
    source = process.get("input")
    data = source.get("data") if isinstance(source, dict) else None
    names = older_names(tables.table("collections"))
    for index, one in enumerate(data if isinstance(data, list) else ()):
        kind = one.get("type") if isinstance(one, dict) else None
        if isinstance(kind, str) and kind in names:
            one["type"] = names[kind]
            report.moved(
                "collection",
                ("processRequest", "input", "data", index, "type"),
                f"the collection `{kind}` is called `{names[kind]}` now.",
            )
        if isinstance(kind, str) and kind.startswith("batch-"):
            report.changed(
                "batch-data",
                ("processRequest", "input", "data", index, "type"),
                f"it reads `{kind}`, a collection of version 1; that is left as it is.",
                "Collections of version 1 are no part of the service any more.",
                "deliver the data into a BYOC collection, and write `type: byoc-ID`",
            )


# --- where results go ----------------------------------------------------------------------


def _target(body: Map, report: Report, role: str) -> None:
    stated = [name for name in TARGETS if body.get(name) is not None]
    if len(stated) != 1:
        named = " and ".join(f"`{name}`" for name in stated)
        what = f"{named} are both stated." if stated else "it does not say where results go."
        report.fail("output", (stated[1],) if stated else (), what)
        return
    (target,) = stated
    if target == "bucketName":
        _bucket(body, report, role)
        return
    output = body[target]
    if not isinstance(output, dict):
        report.fail("output", (target,), f"its `{target}` cannot be read.")
        return
    for name in [one for one in output if one not in _KNOWN_OUTPUT[target]]:
        report.leave_out("unknown", (target, name), f"`{name}` is no field of `{target}`.")
        take(output, name)
    member = "defaultTilePath" if target == "output" else "path"
    if not isinstance(output.get(member), str):
        where = "the bucket of its collection" if output.get("collectionId") else "nowhere"
        report.fail(
            "output",
            (target,),
            f"`{target}` has no `{member}`: results go to {where}.",
            hint=f'write `{member}: "s3://BUCKET/PATH"` before',
        )
        return
    _deliver(output, member, report, target, role)
    put(output, "type", "raster" if target == "output" else "zarr", at=0)
    if target == "output":
        _collection(output, report)
        _blocks(output, report)
    else:
        value, comment = take(body, target)
        put(body, "output", value, comment=comment)
        report.moved("delivery", (target,), "`zarrOutput` is `output` of `type: zarr` now.")


def _bucket(body: Map, report: Report, role: str) -> None:
    name, comment = take(body, "bucketName")
    if not isinstance(name, str) or not name:
        report.fail("output", ("bucketName",), "its `bucketName` cannot be read.")
        return
    output = new_map(type="raster", delivery=_delivery(f"s3://{name}", None, role))
    put(body, "output", output, comment=comment)
    report.moved(
        "delivery",
        ("bucketName",),
        f"`bucketName` is `output.delivery.s3.url: s3://{name}` now, which means the same places:"
        " s3://BUCKET/<requestId>/<tileName>/<outputId>.<format>.",
    )
    _tell_credentials(report, ("bucketName",), role)


def _deliver(output: Map, member: str, report: Report, target: str, role: str) -> None:
    at = list(output).index(member)
    url, comment = take(output, member)
    path = (target, member)
    if TILE_ID in url:
        # A text's own style goes with it.
        url = type(url)(url.replace(TILE_ID, TILE_NAME))
        report.changed(
            "tile-id",
            path,
            f"{TILE_ID} became {TILE_NAME}: files are called by the name of a tile now.",
            "Version 2 has no numbers of tiles.",
        )
    put(output, "delivery", _delivery(url, comment, role), at=at)
    if target == "output":
        report.moved("delivery", path, "`defaultTilePath` is `output.delivery` now.")
    _tell_credentials(report, path, role)
    if target == "output" and REQUEST_ID not in full_template(url) and not holds_key(url):
        report.changed(
            "places",
            path,
            "its results lie where those of version 1 lie already, if it has run there.",
            f"The path has no {REQUEST_ID}, and the service fails a request whose files exist.",
            "deliver elsewhere, or state `skipExisting: true` or `overwrite: true`",
        )


def _delivery(url: str, comment: Node, role: str) -> Map:
    store = "gs" if _GS.match(url) else "s3"
    place = new_map()
    put(place, "url", url, comment=comment)
    if store == "gs":
        place["credentials"] = "{{ secret('env:GS_CREDENTIALS') }}"
    elif role:
        place["iamRoleARN"] = role
    else:
        for name, value in _KEYS.items():
            place[name] = value
    return new_map(**{store: place})


def _tell_credentials(report: Report, path: Path, role: str) -> None:
    how = (
        "the role that was named"
        if role
        else "keys from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    )
    report.changed(
        "credentials",
        path,
        f"the service writes with {how}.",
        "Version 1 wrote where the bucket's policy let it; version 2 takes what the request names.",
        "" if role else "`--role ARN` writes `iamRoleARN` instead, which CDSE does not take",
    )


def _collection(output: Map, report: Report) -> None:
    if output.get("collectionId") is not None:
        report.leave_out(
            "collection",
            ("output", "collectionId"),
            "`collectionId` names a batch collection, which version 2 cannot fill; results are"
            " files only.",
            "Version 2 fills BYOC collections.",
            "declare one, and write `collectionId: \"{{ ref('ByocCollection/NAME').id }}\"`",
        )
    if "collectionId" in output:
        take(output, "collectionId")
    if output.get("createCollection") is True:
        report.changed(
            "collection",
            ("output", "createCollection"),
            "`createCollection` makes a BYOC collection now: others read it as `byoc-ID`.",
            "Version 1 made a batch collection, read as `batch-ID`. In a project,"
            " `ref(ADDRESS).collectionId` is its id.",
        )


def _blocks(output: Map, report: Report) -> None:
    """Version 1 writes COGs in blocks of 1024, version 2 of 256: the layout is written out."""
    if output.get("cogOutput") is not True or output.get("createCollection") is True:
        return
    if output.get("cogParameters") is None:
        output["cogParameters"] = new_map()
    parameters = output["cogParameters"]
    if not isinstance(parameters, dict):
        return
    missing = [name for name in ("blockxsize", "blockysize") if name not in parameters]
    for name in missing:
        parameters[name] = _BLOCK_V1
    if missing:
        report.changed(
            "blocks",
            ("output", "cogOutput"),
            f"blocks of {_BLOCK_V1} pixels are written out: version 2 takes 256 where it is silent.",
        )


__all__ = ["Report", "is_body", "translate"]
