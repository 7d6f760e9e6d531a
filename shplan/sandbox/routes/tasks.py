"""
What the APIs of tasks have in common at the wire: whose a task is, lists of tasks, grids, actions.
"""

# ruff: noqa: EM101, EM102, TRY003  the texts are answers, and functions make the errors

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

from shplan.sandbox import byoc_rows
from shplan.sandbox.batch_states import START, IllegalActionError
from shplan.sandbox.errors import (
    BAD_PAYLOAD,
    ApiError,
    bad_payload,
    forbidden,
    not_found,
    violation,
)
from shplan.sandbox.objects import ObjectStoreError
from shplan.sandbox.paging import links, page
from shplan.sandbox.routes.endpoint import Later, Reply
from shplan.sandbox.task_table import ORDERS, Stored, key_of
from shplan.sandbox.wire import encode

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shplan.sandbox.batch_paths import Place
    from shplan.sandbox.batch_states import Move, Standing
    from shplan.sandbox.paging import Key, Page
    from shplan.sandbox.routes.endpoint import Call
    from shplan.sandbox.settings import Settings
    from shplan.sandbox.storage import Storage
    from shplan.sandbox.task_table import Condition, TaskTable


class Told(Stored, Protocol):
    """A task that can be answered and acted on."""

    @property
    def status(self) -> str:
        """Where it is."""

    @property
    def since_ms(self) -> int:
        """When it came there."""

    @property
    def action(self) -> str:
        """The last action that was accepted."""

    @property
    def starts(self) -> int:
        """How many STARTs had an effect."""

    @property
    def standing(self) -> Standing:
        """What decides about actions."""

    def as_text(self) -> str:
        """The task as JSON text."""


class Decide(Protocol):
    """What an action does to a task, as `batch_states.act` says it."""

    def __call__(
        self, standing: Standing, wanted: str, *, settings: Settings, now_ms: int
    ) -> Move | None:
        """
        Decide; none: it is accepted without any effect.

        Raises:
            IllegalActionError: it is not allowed now
        """


T = TypeVar("T", bound=Stored)
AnyTask = TypeVar("AnyTask", bound=Told)


def owned(call: Call, table: TaskTable[T], name: str, *, what: str = "Batch request") -> T:
    """
    The caller's task.

    Args:
        name: of the path's parameter that identifies it
        what: the answer calls it

    Raises:
        ApiError: 404 if there is none, 403 (or 404, by a setting) if it is somebody else's
    """
    identifier = call.params[name]
    task = table.find(call.store, identifier)
    visible_ms = call.now_ms - round(call.settings.get_lag_s * 1000)
    if task is None or task.created_ms > visible_ms:
        raise not_found(f"{what} {identifier} not found.")
    if task.account != call.account:
        if call.settings.foreign_objects == 403:
            raise forbidden()
        raise not_found(f"{what} {identifier} not found.")
    return task


def listed(
    call: Call, table: TaskTable[AnyTask], *, conditions: tuple[Condition, ...] = ()
) -> Reply:
    """
    A page of the caller's tasks.

    Raises:
        ApiError: 400, an order or a token that this list does not have
    """
    asked = page(call.query, key=str)
    order = call.query.get("sort", call.settings.batch_list_order)
    if order not in ORDERS and "sort" in call.query:
        raise violation("sort", f"must be one of {', '.join(ORDERS)}")
    found = table.page(
        call.store,
        account=call.account,
        until_ms=call.now_ms - round(call.settings.list_lag_s * 1000),
        asked=asked,
        order=order,
        conditions=conditions,
    )
    if found is None:
        raise violation("viewtoken", "is not a token of this list")
    tasks, more = found
    return listing(
        call,
        asked,
        [task.as_text() for task in tasks],
        keys=[key_of(task, order) for task in tasks],
        more=more,
    )


def listing(
    call: Call, asked: Page, texts: Sequence[str], *, keys: Sequence[Key], more: bool
) -> Reply:
    """A page as answers have it, of entries that are JSON text already."""
    ends = (keys[0], keys[-1]) if keys else (None, None)
    around = links(call.url, asked, first=ends[0], last=ends[1], more=more)
    return Reply(200, f'{{"data":[{",".join(texts)}],"links":{encode(around)}}}')


def refuse_unknown_byoc(call: Call, collection_id: str) -> None:
    """
    Do nothing if the caller has this BYOC collection.

    Raises:
        ApiError: 400
    """
    found = byoc_rows.find_collection(call.store, collection_id)
    if found is None or found.account != call.account:
        raise bad_payload(f"Collection {collection_id} not found.")


def columns_of(
    call: Call, task: AnyTask, *, wanted: str, move: Move
) -> dict[str, str | int | float | None]:
    """What is stored of an action that was accepted."""
    return {
        "status": move.status,
        "since_ms": task.since_ms if move.status == task.status else call.now_ms,
        "due_ms": move.due_ms,
        "action": wanted,
        "action_ms": call.now_ms,
        "starts": task.starts + (wanted == START),
    }


def acted(
    call: Call, table: TaskTable[AnyTask], name: str, wanted: str, *, decide: Decide
) -> Reply:
    """
    Do what an action does to the caller's task.

    Args:
        name: as for `owned`
        decide: what that is, or that it is illegal

    Raises:
        ApiError: as for `owned`; 400, it is not allowed now
    """
    with call.store.writing():
        task = owned(call, table, name)
        try:
            move = decide(task.standing, wanted, settings=call.settings, now_ms=call.now_ms)
        except IllegalActionError as error:
            raise bad_payload(str(error)) from error
        if move is not None:
            table.change(
                call.store,
                task,
                **columns_of(call, task, wanted=wanted, move=move),
                reason=move.reason,
                updated_ms=call.now_ms,
            )
    return Reply(204)


def created(
    call: Call,
    kind: str,
    copy: Callable[[str], tuple[Place, bytes]],
    insert: Callable[[str], Reply],
    *,
    place: str,
) -> Reply | Later:
    """
    A new task, once the copy of its request lies in the bucket: what cannot be delivered to is refused.

    A bucket behind an endpoint takes it while others are served. Who dies in between leaves a copy of what was never
    answered.

    Args:
        kind: of its identifier
        copy: what is written of a task of an identifier, and where
        insert: stores it, in a transaction
        place: of the delivery in the body

    Raises:
        ApiError: 400, the copy cannot be written
    """
    storage = call.world.storage
    with call.store.writing():
        identifier = call.store.mint(kind)
        where, content = copy(identifier)
        if not storage.is_far(where.bucket):
            if (failure := _unwritten(storage, where, content)) is not None:
                raise violation(place, f"cannot be written to: {failure}")
            return insert(identifier)

    def answer(failure: str | None) -> Reply:
        if failure is not None:
            raise violation(place, f"cannot be written to: {failure}")
        with call.store.writing():
            return insert(identifier)

    return Later(partial(_unwritten, storage, where, content), answer, in_turn=False)


def _unwritten(storage: Storage, place: Place, content: bytes) -> str | None:
    """Write a file; returns why that cannot be."""
    try:
        storage.put(place, content)
    except ObjectStoreError as error:
        return str(error)
    return None


def busy(task: AnyTask, what: str) -> ApiError:
    """409: what the task is doing forbids it."""
    msg = f"A request with userAction {task.action} and status {task.status} cannot be {what}."
    return ApiError(409, BAD_PAYLOAD, msg)
