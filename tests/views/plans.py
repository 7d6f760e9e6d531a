"""Plans for the tests of views: built as the planner builds them, one scene each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from shplan.core.address import Address
from shplan.core.change import (
    Action,
    Change,
    FieldChange,
    MemberChange,
    Reason,
    Refusal,
    RefusalKind,
)
from shplan.core.cost import Cost, CostTerm, calls
from shplan.core.diagnostic import Diagnostic, SourceSpan
from shplan.core.plan import Plan, PlanInputs
from shplan.core.request import ApiRequest, Effect
from shplan.core.value import Reference, SecretReference, Sensitive, Unknown, Value

FIELDS = Address("ByocCollection", "fields")
TILES = Address("ByocTiles", "fields")
ORCHARDS = Address("ByocCollection", "orchards")
ID = "2c9b1a52-7c7e-4c1c-9d5f-0f8f6a3f2b11"
HOLE = Unknown("{{ ref('ByocCollection/fields').id }}", "ByocTiles/fields", (Reference(FIELDS),))
SECRET = Sensitive(("token-", SecretReference("env:CATALOG_TOKEN")))


def inputs(**given: Any) -> PlanInputs:
    standing: dict[str, Any] = {
        "project": "farm",
        "environment": "sandbox",
        "deployment": "sandbox:1f0c",
        "ledger_head": "sha256:46886db0a9003a7a13f420213bbd6edd9d70a168761d793c725c2318971ccced",
        "version": "0.1.0",
    }
    return PlanInputs(**{**standing, **given})


def at(line: int, column: int = 18, file: str = "manifests/fields.yaml") -> SourceSpan:
    return SourceSpan(file, line, column, column + 6)


def square(west: float, crs: str = "") -> Value:
    ring: list[Value] = [[west + x, 46 + y] for x, y in ((0, 0), (1, 0), (1, 1), (0, 1), (0, 0))]
    shape: dict[str, Value] = {"type": "Polygon", "coordinates": [ring]}
    if crs:
        shape["crs"] = {"type": "name", "properties": {"name": f"urn:ogc:def:crs:{crs}"}}
    return shape


def field(
    path: str,
    before: Value,
    after: Value,
    *,
    reason: Reason = Reason.DIFFERS,
    forces: str = "",
) -> FieldChange:
    return FieldChange(tuple(path.split(".")), before, after, reason, forces=forces)


def tile(
    key: str,
    operation: str = "create",
    *,
    detail: str = "",
    fields: tuple[FieldChange, ...] = (),
    collection: Value = ID,
) -> MemberChange:
    actions = {"create": Action.CREATE, "delete": Action.DELETE, "adopt": Action.ADOPT}
    reasons = {
        "create": Reason.NOT_FOUND,
        "delete": Reason.NO_LONGER_DECLARED,
        "adopt": Reason.SAME_KEY,
        "reingest": Reason.INGESTION_FAILED,
    }
    request = None
    if operation not in ("adopt", "respell"):
        request = ApiRequest(
            f"{operation}ByocCollectionTile",
            "POST",
            "/byoc/v1/collections/{collectionId}/tiles",
            Effect.CREATE,
            parameters={"collectionId": collection},
            body={"path": key},
        )
    return MemberChange(
        key,
        actions.get(operation, Action.UPDATE),
        reasons.get(operation, Reason.DIFFERS),
        operation=operation,
        detail=detail,
        fields=fields,
        request=request,
    )


def post(**body: Value) -> ApiRequest:
    return ApiRequest(
        "createByocCollection", "POST", "/byoc/v1/collections", Effect.CREATE, body=body
    )


def days(number: int) -> list[str]:
    return [f"2025/{1 + day // 28 % 12:02}/{1 + day % 28:02}/{day:05}" for day in range(number)]


def first_apply() -> Plan:
    bands: Value = {
        "B04": {"source": "B04", "bitDepth": 16, "sampleFormat": "UINT"},
        "B08": {"source": "B08", "bitDepth": 16, "sampleFormat": "UINT"},
    }
    collection = Change(
        FIELDS,
        Action.CREATE,
        Reason.NOT_FOUND,
        fields=(
            field("additionalData", None, {"bands": bands}),
            field("name", None, "Field imagery"),
            field("noData", None, 0),
            field("s3Bucket", None, "acme-fields"),
        ),
        requests=(post(name="Field imagery", s3Bucket="acme-fields"),),
        cost=calls(1, label="create the collection"),
        source=at(4),
    )
    tiles = Change(
        TILES,
        Action.CREATE,
        Reason.NOT_FOUND,
        members=(tile("2025/06/01", collection=HOLE), tile("2025/06/11", collection=HOLE)),
        counts={"declared": 2, "create": 2},
        cost=calls(2, label="create tiles"),
        depends_on=(FIELDS,),
        source=at(11),
    )
    return Plan(inputs(), (collection, tiles))


def nothing_to_do() -> Plan:
    return Plan(
        inputs(),
        (
            Change(FIELDS, Action.NOOP, Reason.UP_TO_DATE, id=ID, source=at(4)),
            Change(
                TILES,
                Action.NOOP,
                Reason.UP_TO_DATE,
                counts={"declared": 12_000, "unmanaged": 3, "ingesting": 1},
                waits=True,
            ),
            Change(ORCHARDS, Action.READ, Reason.UNMANAGED, id=ID),
        ),
    )


def update_and_replace() -> Plan:
    name = "Imagery of all fields of the farm, taken since 2017 and kept for the "
    update = Change(
        FIELDS,
        Action.UPDATE,
        Reason.DIFFERS,
        fields=(
            field("additionalData.bands.B04.noData", 0, 65535),
            field("name", name + "first paper", name + "second paper"),
            field("noData", 0, None, reason=Reason.NO_LONGER_STATED),
        ),
        requests=(post(name=name + "second paper"),),
        cost=calls(1, label="update the collection"),
        source=at(4),
        id=ID,
    )
    replaced = Change(
        ORCHARDS,
        Action.REPLACE,
        Reason.CANNOT_UPDATE,
        fields=(
            field(
                "s3Bucket",
                "acme-orchards",
                "acme-orchards-eu",
                forces="a collection with tiles cannot change its bucket",
            ),
        ),
        requests=(post(name="Orchards", s3Bucket="acme-orchards-eu"),),
        counts={"tiles deleted with the old collection": 412},
        cost=calls(2, label="create the new collection, delete the old one"),
        source=at(3, file="manifests/orchards.yaml"),
        id=ID,
    )
    tiles = Change(
        TILES,
        Action.UPDATE,
        Reason.DIFFERS,
        members=(
            tile(
                "2025/06/01",
                "update",
                fields=(field("coverGeometry", square(14), square(15)),),
            ),
            tile(
                "2025/06/11",
                "update",
                fields=(
                    field("coverGeometry", square(14), square(500, "EPSG::32633")),
                    field("sensingTime", "2025-06-11T10:00:00Z", "2025-06-11T11:00:00Z"),
                ),
            ),
        ),
        counts={"declared": 2, "update": 2},
        cost=calls(2, label="update tiles"),
        depends_on=(FIELDS,),
        source=at(11),
    )
    return Plan(inputs(), (update, replaced, tiles))


def many_tiles(number: int = 10_000) -> Plan:
    keys = days(number)
    members = (
        *(tile(key) for key in keys),
        *(tile(f"2024/{key}", "reingest", detail="file not found: B04.tiff") for key in keys[:2]),
        *(tile(f"2023/{key}", "delete") for key in keys[:7]),
        *(tile(f"2022/{key}", "respell") for key in keys[:3]),
    )
    change = Change(
        TILES,
        Action.UPDATE,
        Reason.MEMBERS_DIFFER,
        members=members,
        counts={
            "declared": number + 2500,
            "create": number,
            "delete": 7,
            "reingest": 2,
            "unmanaged": 41,
            "not confirmed": 1,
        },
        cost=calls(number + 9, label="change tiles"),
        source=at(11),
    )
    return Plan(inputs(), (change,))


def found_again() -> Plan:
    return Plan(
        inputs(),
        (
            Change(
                Address("ByocCollection", "vineyards"),
                Action.MOVE,
                Reason.RENAMED,
                current={"from": "ByocCollection/images"},
            ),
            Change(
                FIELDS,
                Action.ADOPT,
                Reason.SAME_KEY,
                fields=(field("name", "Fields", "Field imagery"),),
                requests=(post(name="Field imagery"),),
                cost=calls(1, label="update the collection"),
                id=ID,
                source=at(4),
            ),
            Change(
                TILES,
                Action.UPDATE,
                Reason.PROTECTION_CHANGED,
                prevent_destroy=True,
                counts={"declared": 2},
                source=at(11),
            ),
            Change(Address("ByocCollection", "trial"), Action.FORGET, Reason.FORGOTTEN),
        ),
    )


def stopped() -> Plan:
    """Return what may not be done: a block, what it blocks, a protection, a budget."""
    protected = Diagnostic(
        code="plan/prevent-destroy",
        summary="Protected by preventDestroy",
        what=f"{ORCHARDS} would be deleted, and it was applied with `preventDestroy: true`.",
        why="The protection outlives the manifest, so that removing a file cannot remove data.",
        hint="declare it with `lifecycle: {preventDestroy: false}`, apply that, and then delete",
        address=str(ORCHARDS),
    )
    budget = Diagnostic(
        code="plan/budget",
        summary="Over the budget",
        what="this plan can cost 103 PU; the budget is 100 PU.",
        why="The maximum counts, so that an apply can never spend more than was allowed.",
        hint="raise `budget: {maxPu: ...}` of the environment, or select a part of the plan",
        span=at(3, file="manifests/wide.yaml"),
    )
    foreign = Change(
        FIELDS,
        Action.REPLACE,
        Reason.CANNOT_UPDATE,
        fields=(
            field("s3Bucket", "old", "new", forces="a collection with tiles keeps its bucket"),
        ),
        source=at(4),
        id=ID,
    ).blocked(Reason.FOREIGN_MEMBERS, note="it holds 12 members that are not ours")
    dependent = Change(TILES, Action.UPDATE, Reason.MEMBERS_DIFFER, source=at(11)).blocked(
        Reason.DEPENDENCY_BLOCKED, note=f"{FIELDS} is blocked"
    )
    wide = Change(
        Address("ByocCollection", "wide"),
        Action.CREATE,
        Reason.NOT_FOUND,
        fields=(field("name", None, "Wide"),),
        requests=(post(name="Wide"),),
        cost=calls(102, label="create everything"),
        source=at(3, file="manifests/wide.yaml"),
        refusals=(Refusal(RefusalKind.PROTECTED, budget),),
    )
    doomed = Change(
        ORCHARDS,
        Action.DELETE,
        Reason.NO_LONGER_DECLARED,
        cost=calls(1, label="delete the collection"),
        id=ID,
        prevent_destroy=True,
        refusals=(Refusal(RefusalKind.PROTECTED, protected),),
    )
    return Plan(inputs(), (foreign, dependent, wide, doomed))


def only_blocked() -> Plan:
    note = (
        "it was adopted, not created here; `shplan import` confirms that it is ours,"
        " `forget` lets go of it"
    )
    change = Change(FIELDS, Action.DELETE, Reason.NO_LONGER_DECLARED, id=ID)
    return Plan(inputs(), (change.blocked(Reason.NOT_OWNED, note=note),))


def destroy_in_production() -> Plan:
    change = Change(
        FIELDS,
        Action.DELETE,
        Reason.NO_LONGER_DECLARED,
        requests=(ApiRequest("deleteByocCollectionById", "DELETE", "/c", Effect.DELETE),),
        counts={"tiles deleted with it": 12_000},
        cost=calls(1, label="delete the collection"),
        id=ID,
    )
    tiles = Change(
        TILES,
        Action.DELETE,
        Reason.NO_LONGER_DECLARED,
        counts={"deleted with the collection": 12_000},
        follows=True,
    )
    left = Change(
        FIELDS,
        Action.DELETE,
        Reason.CANNOT_UPDATE,
        notes=("a replacement left it behind",),
        cost=calls(1, label="delete the replaced collection"),
        id=ID.replace("2", "3"),
        deposed=True,
    )
    chosen = inputs(
        environment="prod",
        deployment="aws-eu-central-1",
        commit="6df1f4e0c0ffee",
        select=("ByocCollection/fields+", "label:crop=winter wheat"),
        destroy=True,
    )
    return Plan(chosen, (tiles, change, left))


def unknown_and_secret() -> Plan:
    change = Change(
        Address("ByocCollection", "region", "north"),
        Action.UPDATE,
        Reason.DIFFERS,
        fields=(
            field("catalog", {"token": None}, {"token": SECRET, "url": "https://example.org"}),
            field("collections", ["a"], ["a", HOLE, SECRET]),
            field("parent", "x", HOLE),
        ),
        requests=(post(catalog={"token": SECRET}, parent=HOLE),),
        cost=Cost(
            1,
            12.5,
            1500.25,
            (CostTerm("read scenes", 1, 1.0, "processing units: by the number of acquisitions"),),
        ),
        source=at(4, 9),
    )
    return Plan(inputs(), (change,))


SCENES: dict[str, Callable[[], Plan]] = {
    "first-apply": first_apply,
    "nothing-to-do": nothing_to_do,
    "update-and-replace": update_and_replace,
    "found-again": found_again,
    "stopped": stopped,
    "only-blocked": only_blocked,
    "destroy-in-production": destroy_in_production,
    "unknown-and-secret": unknown_and_secret,
    "many-tiles": lambda: many_tiles(12),
}
