"""
`schemas/PROVENANCE.md`: where the schemas come from and every deviation with its reason.

The table of overlays is printed from the overlays themselves, so that the page and the code cannot part.
"""

from __future__ import annotations

from collections.abc import Sequence

from shplan.schema.overlays import OVERLAYS, Overlay
from shplan.schema.tree import Schema, as_object, as_text

_HEAD = """\
# Where the schemas come from

Made by `make schemas`; do not edit. The text stands in `shplan/schema/provenance.py`, the table is printed from
`shplan/schema/overlays.py`.

| Directory | What it holds | Made by |
|---|---|---|
| `source/openapi.extract.json` | the structure of the service's OpenAPI document without its prose | `python -m shplan.schema.extract PATH` |
| `source/batch-v1.json` | paths and bodies of Batch V1, which the document no longer has but clients still use, in the form of the extract | written by hand, from the older reference of the API and from what the Python client 3.11.1 sends and reads |
| `source/kinds/`, `source/envelope.json` | the parts of a manifest that are ours | written by hand |
| `source/descriptions.json` | one line for each member of the API that a manifest can have, in our own words | written by hand |
| `api/` | JSON Schema 2020-12 for each API family; `operations.json` says which operation uses what | `python -m shplan.schema` |
| `manifest/` | one schema a kind, for editors; `shplan.json` for any kind; `strict/` without expressions | `python -m shplan.schema` |
| `tables/` | published tables of the service as data: bands and units of the public collections, what searches of the catalogue may name, and the tiling grids, with the rule by which this project counts and names their tiles (the geometry of the published table was not at hand) | written by hand |

## The document

| | |
|---|---|
| SHA-256 | `{sha256}` |
| OpenAPI | {openapi} |
| Version of the API | {version} |

The document itself is not part of this repository. The extract keeps names, types, enums, ranges, patterns, required and
read-only marks, defaults, references, parameters and statuses.

## Overlays

Each corrects the document in one place, before anything is derived. Each has a test in `tests/schema/test_overlays.py` with a
body that a real client sends: refused without the overlay, accepted with it. The few that restrict (`geometry-members`,
`byoc-band-names`, `zarr-objects`) are tested with a body that cannot be meant, and a real one that still passes.

| Id | Where | The document says | Real requests and answers | The schemas say |
|---|---|---|---|---|
"""

_TAIL = """
## How the rest is translated

- `allOf` of plain schemas becomes one schema with all members, so that it can be closed and a fault names the member.
- `oneOf` becomes a choice by the member that tells the branches apart (`type`, `provider`, `op`, also one level down), as a
  chain of `if`/`then`; without such a member it stays. Two branches that differ by one required member (`s3`, `gs`) become two members, of which exactly
  one is required.
- Formats: `date-time`, `uuid`, `uri` are kept (`UUID` and `url` are read as these), a `number` of format `integer` becomes an
  `integer`, all others (`int32`, `double`, `RFC 7223`, media types) are dropped: they restrict nothing that the service refuses.
- `x-` keywords and discriminators are dropped once used.
- Requests and answers stay open: the service ignores unknown members. In a manifest the same definitions are closed, and
  read-only members are left out.
- The older paths (`/api/v1/...`), which all released clients use, stand beside the document's as `aliases` in `operations.json`.

## What is not in a schema

- Clients send explicit nulls, read-only members and members of their own (`userId`, `otherData`) when they create and update collections and tiles.
  The service ignores them, so whoever validates a request for it first drops nulls and what `operations.json` lists as `readOnly`.
- A batch request of version 1 has exactly one of `output`, `bucketName` and `zarrOutput`, and `createCollection` excludes `collectionId`.
- `domainAccountId` is deprecated, but the Python client fails on a batch task without it.
- `sampleFormat` of a band stays required, as the document has it, although examples in prose leave it out.
- Which answers a server sends beyond the documented ones (401 and 403 have no documented body).
"""


def provenance(extract: Schema, overlays: Sequence[Overlay] = OVERLAYS) -> str:
    """
    Return the page.

    Args:
        extract: for the digest and version of the original
        overlays: one row each
    """
    source = {key: as_text(value) for key, value in as_object(extract["source"]).items()}
    rows = "".join(
        f"| {_cell(f'`{o.id}`')} | {_cell(o.where)} | {_cell(o.published)} | {_cell(o.real)} | {_cell(o.change)} |\n"
        for o in overlays
    )
    return _HEAD.format(**source) + rows + _TAIL


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
