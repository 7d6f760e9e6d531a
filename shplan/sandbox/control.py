"""
The sandbox's own controls under `/_sandbox`: time, settings, faults, and a look inside.

No part of the service, so no token is asked for; only callers on this machine are answered,
and never a web page.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, cast

from starlette.responses import Response
from starlette.routing import Route

from shplan.sandbox import (
    async_rows,
    batch_fates,
    batch_rows,
    batch_statistics_rows,
    batch_v1_rows,
    bulk,
    edits,
    faults,
)
from shplan.sandbox.errors import ApiError, bad_payload, forbidden
from shplan.sandbox.settings import SettingsError
from shplan.sandbox.settling import settle
from shplan.sandbox.wire import decode, encode, instant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from starlette.requests import Request

    from shplan.sandbox.wire import Json, JsonObject
    from shplan.sandbox.world import World

PREFIX = "/_sandbox"
# A day before the last that the calendar has.
_LAST_S = 253_402_214_400.0
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def routes(world: World) -> list[Route]:
    """The routes of the control."""
    table: dict[str, dict[str, Callable[[World, JsonObject], Json]]] = {
        "instance": {"GET": _instance},
        "reset": {"POST": _reset},
        "tick": {"POST": _tick},
        "settings": {"GET": _settings, "POST": _change_settings, "PATCH": _change_settings},
        "faults": {"GET": _faults, "POST": _program, "DELETE": _clear_faults},
        "expire-tokens": {"POST": _expire_tokens},
        "meter": {"GET": _meter},
        "async": {"GET": _async},
        "batch": {"GET": _batch, "POST": _doom, "DELETE": _spare},
        "requests": {"GET": _requests, "DELETE": _clear_requests},
        "dump": {"GET": _dump},
        "populate": {"POST": _populate},
        "seed": {"POST": _seed},
    }
    return [
        edits.route(world, f"{PREFIX}/edit", _admitted),
        *(
            Route(f"{PREFIX}/{name}", _endpoint(world, actions), methods=sorted(actions))
            for name, actions in table.items()
        ),
    ]


def _endpoint(
    world: World, actions: dict[str, Callable[[World, JsonObject], Json]]
) -> Callable[[Request], object]:
    async def serve(request: Request) -> Response:
        body = _admitted(request, await request.body())
        action = actions.get("GET" if request.method == "HEAD" else request.method)
        assert action is not None  # the route admits these methods only
        await settle(world)
        try:
            answer = action(world, body)
        except (SettingsError, faults.FaultError, batch_fates.FateError) as error:
            raise bad_payload(str(error)) from error
        return Response(encode(answer), 200, media_type="application/json")

    return serve


def _admitted(request: Request, content: bytes) -> JsonObject:
    """The object in the body of a request from this machine; nothing: an empty one."""
    _refuse_strangers(request)
    return _object(content)


def _refuse_strangers(request: Request) -> None:
    host = request.client.host if request.client else ""
    if host not in LOOPBACK or "origin" in request.headers:
        msg = "The sandbox is controlled from this machine only."
        raise forbidden(msg)


def _object(content: bytes) -> JsonObject:
    try:
        value = decode(content) if content.strip() else {}
    except ValueError as error:
        raise bad_payload(str(error)) from error
    if not isinstance(value, dict):
        msg = "A JSON object is expected."
        raise bad_payload(msg)
    return value


def _instance(world: World, _: JsonObject) -> Json:
    return {"instance": world.store.instance, "now": instant(world.now_ms())}


def _reset(world: World, _: JsonObject) -> Json:
    world.reset()
    return _instance(world, {})


def _tick(world: World, body: JsonObject) -> Json:
    seconds = body.get("seconds")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds < 0:
        raise ApiError(400, "COMMON_BAD_PAYLOAD", "seconds is a number, not below 0")
    if world.now_s() + seconds > _LAST_S:
        msg = "the calendar ends with the year 9999"
        raise bad_payload(msg)
    world.tick(seconds)
    return _instance(world, {})


def _settings(world: World, _: JsonObject) -> Json:
    return world.settings.as_json(reveal_secrets=False)


def _change_settings(world: World, body: JsonObject) -> Json:
    world.set_settings(world.settings.patched(body))
    return _settings(world, {})


def _faults(world: World, _: JsonObject) -> Json:
    return {"faults": world.store.dump()["faults"]}


def _program(world: World, body: JsonObject) -> Json:
    given = body.get("faults", [body])
    if not isinstance(given, list):
        msg = "faults is a list"
        raise bad_payload(msg)
    for fault in [faults.parse(one) for one in given]:
        faults.program(world.store, fault)
    return _faults(world, {})


def _clear_faults(world: World, _: JsonObject) -> Json:
    faults.clear(world.store)
    return _faults(world, {})


def _expire_tokens(world: World, _: JsonObject) -> Json:
    """Every token that was issued so far stops to count."""
    world.store.expire_tokens()
    return _instance(world, {})


def _meter(world: World, _: JsonObject) -> Json:
    accounts = world.store.meter()
    total = sum(cast("float", cast("JsonObject", entry)["pu"]) for entry in accounts.values())
    return {"accounts": accounts, "pu": total}


def _batch(world: World, _: JsonObject) -> Json:
    """Every task of every batch API, with how many STARTs had an effect, and what is to fail."""
    known: list[tuple[str, batch_rows.Task | batch_v1_rows.Task]] = [
        *(("v2", task) for task in batch_rows.every(world.store)),
        *(("v1", task) for task in batch_v1_rows.TASKS.every(world.store)),
        *(("statistics", task) for task in batch_statistics_rows.TASKS.every(world.store)),
    ]
    tasks: list[Json] = [
        {
            "api": api,
            "id": task.id,
            "account": task.account,
            "status": task.status,
            "userAction": task.action,
            "starts": task.starts,
            "costPU": round(float(task.cost), 6),
            "features": task.total,
            "handled": task.handled,
            "fatal": task.fatal,
            "forgotten": bool(task.forgotten),
        }
        for api, task in known
    ]
    return {"tasks": tasks, "fates": world.store.dump()["batch_fates"]}


def _async(world: World, _: JsonObject) -> Json:
    """Every asynchronous request there was, and what became of it."""
    requests: list[Json] = [
        {
            "id": one.id,
            "account": one.account,
            "status": one.status,
            "costPU": round(one.cost, 6),
            "error": one.error,
        }
        for one in async_rows.REQUESTS.every(world.store)
    ]
    return {"requests": requests}


def _doom(world: World, body: JsonObject) -> Json:
    batch_fates.program(world.store, batch_fates.parse(body))
    return _batch(world, {})


def _spare(world: World, _: JsonObject) -> Json:
    batch_fates.clear(world.store)
    return _batch(world, {})


def _requests(world: World, _: JsonObject) -> Json:
    return {"requests": world.store.dump()["requests"]}


def _clear_requests(world: World, _: JsonObject) -> Json:
    world.store.run("delete from requests")
    return _requests(world, {})


def _populate(world: World, body: JsonObject) -> Json:
    """Tiles at these `paths`, or `count` of them below a `prefix`."""
    collection, like, paths = (body.get(name) for name in ("collection", "like", "paths"))
    count, prefix = body.get("count"), body.get("prefix", "tiles/")
    wanted: Iterable[str] | None = None
    if isinstance(paths, list):
        wanted = [str(path) for path in paths]
    elif type(count) is int and isinstance(prefix, str):
        wanted = bulk.numbered(prefix, count)
    if not (isinstance(collection, str) and isinstance(like, str)) or wanted is None:
        msg = "collection and like are identifiers, paths is a list, count a whole number"
        raise bad_payload(msg)
    return {"added": bulk.populate(world, collection, like=like, paths=wanted)}


def _seed(world: World, _: JsonObject) -> Json:
    from shplan.sandbox.seeding import seed  # noqa: PLC0415 few sandboxes are seeded

    return cast("JsonObject", asdict(seed(world)))


def _dump(world: World, _: JsonObject) -> Json:
    return {
        "instance": world.store.instance,
        "now": instant(world.now_ms()),
        "settings": world.settings.as_json(reveal_secrets=False),
        **world.store.dump(),
    }
