"""
The sandbox's knobs: durations, limits, and every behaviour that the service leaves unsure.

They lie as JSON in the data directory, so that every process that opens it agrees; a value
of the wrong type or name is refused. Nothing here is shared with the client.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from difflib import get_close_matches
from functools import cache
from typing import TYPE_CHECKING, Literal, Self, cast, get_args, get_type_hints

from shplan.sandbox.scratch import scratch_file
from shplan.sandbox.wire import decode, encode

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from shplan.sandbox.wire import Json, JsonObject

FILE_NAME = "settings.json"

# Instants stay within the calendar: thirty years, and not all of it in a day.
_MOST_NUMBER = 1e9
_MOST = {"speed": 1e6}
_NEVER_ZERO = frozenset(
    {
        "speed",
        "expires_in_s",
        "acquisition_every_days",
        "requests_per_minute",
        "pu_per_minute",
        "token_requests_per_minute",
        "script_s",
        "pixels_s",
    }
)


class SettingsError(ValueError):
    """A setting that does not exist, or a value that it does not take."""


@dataclass(frozen=True, slots=True)
class ClientEntry:
    """One OAuth client: its secret, and the account that it acts for."""

    secret: str = field(repr=False)
    account: str


DEFAULT_CLIENTS = {"sandbox": ClientEntry(secret="sandbox", account="sandbox")}  # noqa: S106 the published pair


@dataclass(frozen=True, slots=True)
class Settings:
    """
    All settings; the numbers in brackets are those of the reference's open questions.

    Args:
        seed: what identifiers are made from; none: drawn once for the directory
        speed: sandbox seconds for each real second
        expires_in_s: life of a token in the client's seconds (1)
        requests_per_minute: rate limit of an account; none: no limit
        pu_per_minute: the same for processing units
        token_requests_per_minute: the same for the token endpoint, by client
        retry_after: whether a 429 says how long to wait
        waiting_s: how long a tile is WAITING
        queued_s: then QUEUED
        ingesting_s: then INGESTING
        metadata_refresh_s: from a change of the tiles to the refreshed collection metadata
        list_lag_s: age from which an object appears in lists
        path_lag_s: age from which a tile appears in a list by exact path
        get_lag_s: age from which an object is found by its id
        unique_collection_names: a second collection of one name is a 409 (2)
        folder_path_collides: `x` and `x/(BAND).tiff` are one path (3)
        deleted_path_blocked_s: how long the path of a deleted tile stays taken (4)
        tile_put_path: what a tile PUT does with `path` (5)
        bucket_change: when a collection PUT may change the bucket (6)
        sample_format_required: a band without `sampleFormat` is a 400 (7)
        second_delete: status of a DELETE of what was deleted before (23)
        error_429_wrapped: the body of a 429 has the `error` wrapper (24)
        error_401_body: a 401 has a body (25)
        error_details: form of the single errors of an answer: that of the document, or one of the
            others that are seen
        frozen_change_status: status of a PUT that changes what a tile has frozen
        tile_put_omitted_sensing_time: what a tile PUT without `sensingTime` does to it
        unknown_fields: what happens to fields that the document does not know
        foreign_objects: status for what belongs to another account
        browsers: which pages of other places may ask from within a browser
        nan_nodata: whether a file whose nodata is NaN is refused
        location: deployment on which collections are said to live; what asynchronous requests
            deliver to another region than its own is charged by the megabyte
        numeric_instants: whether a tile's sensing time may be seconds since 1970 with a fraction
        tile_files: which tiles have a listing of their files
        zarr_created_s: how long a Zarr collection is CREATED
        zarr_ingesting_s: then INGESTING, also after a reingest
        zarr_offending_arrays: whether arrays that break a rule are skipped, or fail all
        zarr_reingest_running: what a reingest does while an ingestion runs
        account_pu: processing units that an account has in all; none: as many as it wants
        batch_required_pu: what must be left of them for a batch task to be created
        batch_queued_s: from an accepted ANALYSE or START to the status that follows
        batch_analysing_s: how long a batch task is ANALYSING
        batch_processing_s: how long all its features take together
        batch_list_order: order of a list of batch tasks that asks for none (9)
        batch_restart_after_s: how long a task that its user stopped cannot be started (16)
        second_start: what a START of a started task does; it is never charged (18)
        start_while_analysing: what a START does while an analysis that was asked for runs (18)
        echo_secrets: secret keys of tasks created from now on are kept and told in `request` (17)
        missing_bucket: what happens when results go to a bucket that does not exist
        unhealthy_share: a task of which a larger share of features failed is STOPPED
        acquisition_every_days: samples for ORBIT and TILE are counted as one in so many days
        async_processing_s: how long an asynchronous request runs
        async_concurrent: how many of them an account may have at once; none: any number (26)
        async_discount: whether those of 10,000 pixels or more cost two thirds, as the newer page says
        statistics_restart_after_s: how long a batch statistical task that ran out of processing units
            cannot be started
        statistics_partial: a batch statistical task of which features failed ends as PARTIAL, not DONE
        expire_created_s: how long after its creation a task that nobody used is forgotten (15)
        expire_analysed_s: the same after ANALYSIS_DONE
        expire_stopped_s: the same after STOPPED
        expire_failed_s: the same after FAILED
        expire_done_s: the same after DONE
        most_body_mb: larger bodies of requests are refused, in units of a million bytes
        most_object_mb: the same for objects that are put into a bucket over S3
        script_s: what each function of an evalscript may take, pixels aside, in seconds of the machine
        pixels_s: what an evalscript may take for all pixels of an image
        pixels_million_s: as much more for each million samples that it is given
        catalog_costs: whether a search of the catalogue is charged
        catalog_logic: logical operators that its filters may have: those of the document, which are
            `and` and `not`, or `and` alone, as the page says
        histogram_mismatch: what happens to edges of bins that are whole numbers where the output is of
            floating point numbers, or the other way round
        log_requests: whether requests are listed at `/_sandbox/requests`
        clients: OAuth clients by id
    """

    seed: str | None = None
    speed: float = 1.0
    expires_in_s: float = 3600.0
    requests_per_minute: float | None = None
    pu_per_minute: float | None = None
    token_requests_per_minute: float | None = None
    retry_after: bool = True
    waiting_s: float = 1.0
    queued_s: float = 1.0
    ingesting_s: float = 2.0
    metadata_refresh_s: float = 60.0
    list_lag_s: float = 0.0
    path_lag_s: float = 0.0
    get_lag_s: float = 0.0
    unique_collection_names: bool = False
    folder_path_collides: bool = False
    deleted_path_blocked_s: float = 0.0
    tile_put_path: Literal["ignore", "honour"] = "ignore"
    bucket_change: Literal["when_empty", "never"] = "when_empty"
    sample_format_required: bool = True
    second_delete: Literal[404, 204] = 404
    error_429_wrapped: bool = True
    error_401_body: bool = True
    error_details: Literal["object", "list", "texts"] = "object"
    frozen_change_status: Literal[400, 409] = 400
    tile_put_omitted_sensing_time: Literal["clear", "keep"] = "clear"
    unknown_fields: Literal["ignore", "refuse"] = "ignore"
    foreign_objects: Literal[403, 404] = 403
    browsers: Literal["any", "none"] = "any"
    nan_nodata: Literal["fail", "ignore"] = "fail"
    location: str = "aws-eu-central-1"
    numeric_instants: Literal["accept", "refuse"] = "refuse"
    tile_files: Literal["all", "delivered"] = "all"
    zarr_created_s: float = 1.0
    zarr_ingesting_s: float = 2.0
    zarr_offending_arrays: Literal["skip", "fail"] = "skip"
    zarr_reingest_running: Literal["accept", "refuse"] = "accept"
    account_pu: float | None = None
    batch_required_pu: float = 1000.0
    batch_queued_s: float = 1.0
    batch_analysing_s: float = 2.0
    batch_processing_s: float = 10.0
    batch_list_order: Literal["created", "created:desc", "id"] = "created:desc"
    batch_restart_after_s: float = 1800.0
    second_start: Literal["refuse", "ignore"] = "refuse"
    start_while_analysing: Literal["refuse", "accept"] = "refuse"
    echo_secrets: bool = False
    missing_bucket: Literal["create", "refuse"] = "create"
    unhealthy_share: float = 0.5
    acquisition_every_days: float = 3.0
    async_processing_s: float = 5.0
    async_concurrent: float | None = 10.0
    async_discount: bool = True
    statistics_restart_after_s: float = 3600.0
    statistics_partial: bool = False
    expire_created_s: float | None = None
    expire_analysed_s: float | None = None
    expire_stopped_s: float | None = None
    expire_failed_s: float | None = None
    expire_done_s: float | None = None
    most_body_mb: float = 20.0
    most_object_mb: float = 5_000.0
    script_s: float = 5.0
    pixels_s: float = 5.0
    pixels_million_s: float = 0.5
    catalog_costs: bool = True
    catalog_logic: Literal["all", "and"] = "all"
    histogram_mismatch: Literal["refuse", "accept"] = "refuse"
    log_requests: bool = True
    clients: Mapping[str, ClientEntry] = field(default_factory=lambda: dict(DEFAULT_CLIENTS))

    def patched(self, changes: JsonObject) -> Self:
        """
        These settings with some changed; `clients` are added to those there are.

        Raises:
            SettingsError: an unknown name, or a value of the wrong kind
        """
        values = {name: _checked(name, value, self) for name, value in changes.items()}
        return replace(self, **values)  # type: ignore[arg-type]  # each value was checked by name

    def as_json(self, *, reveal_secrets: bool) -> JsonObject:
        """All settings; a secret is printed only where the file itself is written."""
        content = asdict(self)
        for entry in content["clients"].values():
            if not reveal_secrets:
                entry["secret"] = "(sensitive)"  # noqa: S105 what is printed instead
        return cast("JsonObject", content)


def _checked(name: str, value: Json, settings: Settings) -> object:
    if name not in _accepted():
        near = get_close_matches(name, _accepted(), n=1)
        msg = f"there is no setting {name!r}" + "".join(f"; did you mean {one}?" for one in near)
        raise SettingsError(msg)
    if name == "clients":
        return {**settings.clients, **_clients(value)}
    accepted = _accepted()[name]
    if not _accepts(accepted, value):
        msg = f"{name} does not take {value!r}; it takes {_wanted(name, accepted)}"
        raise SettingsError(msg)
    if float in accepted and value is not None:
        return _positive(name, cast("float", value))
    return value


@cache
def _accepted() -> dict[str, tuple[object, ...]]:
    """What each setting takes: types, and values. Evaluating the annotations costs a millisecond."""
    hints = get_type_hints(Settings, localns={"Mapping": dict, "Json": object})
    return {name: get_args(kind) or (kind,) for name, kind in hints.items()}


def _accepts(accepted: tuple[object, ...], value: Json) -> bool:
    if value is None:
        return type(None) in accepted
    if isinstance(value, bool):
        return bool in accepted
    if isinstance(value, int | float) and float in accepted:
        return True
    return type(value) in accepted or any(
        type(value) is type(choice) and value == choice for choice in accepted
    )


def _positive(name: str, number: float) -> float:
    most = _MOST.get(name, _MOST_NUMBER)
    if not 0 <= number <= most or (number == 0 and name in _NEVER_ZERO):
        msg = f"{name} does not take {number!r}; it takes {_wanted(name, (float,))}"
        raise SettingsError(msg)
    return float(number)


def _wanted(name: str, accepted: tuple[object, ...]) -> str:
    """What a setting takes, in words."""
    if float in accepted:
        least = "above 0" if name in _NEVER_ZERO else "from 0"
        what = f"a number {least}, up to {_MOST.get(name, _MOST_NUMBER):.0f}"
    elif bool in accepted:
        what = "true or false"
    elif str in accepted:
        what = "a text"
    else:
        what = " or ".join(str(choice) for choice in accepted if choice is not type(None))
    return f"{what}, or null" if type(None) in accepted else what


def _clients(value: Json) -> dict[str, ClientEntry]:
    if not isinstance(value, dict):
        msg = "clients is a map from client id to secret and account"
        raise SettingsError(msg)
    clients = {}
    for client_id, entry in value.items():
        secret = entry.get("secret") if isinstance(entry, dict) else None
        account = entry.get("account") if isinstance(entry, dict) else None
        if not isinstance(secret, str) or not isinstance(account, str):
            msg = f"client {client_id!r} needs the texts secret and account"
            raise SettingsError(msg)
        clients[client_id] = ClientEntry(secret=secret, account=account)
    return clients


class SettingsFile:
    """The settings of a data directory; read again when another process has changed them."""

    def __init__(self, data: Path) -> None:
        self._path = data / FILE_NAME
        self._stamp: tuple[int, int] | None = None
        self._settings = Settings()

    def read(self) -> Settings:
        """The settings as they lie there now; the defaults where no file lies."""
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return self._settings
        stamp = (status.st_mtime_ns, status.st_ino)
        if stamp != self._stamp:
            try:
                content = decode(self._path.read_bytes())
            except ValueError as error:
                msg = f"the settings are no JSON: {error}"
                raise SettingsError(msg) from error
            if not isinstance(content, dict):
                msg = "the settings are no JSON object"
                raise SettingsError(msg)
            self._settings = Settings().patched(content)
            self._stamp = stamp
        return self._settings

    def write(self, settings: Settings) -> None:
        """Replace the file in one step, readable by its owner only."""
        text = encode(settings.as_json(reveal_secrets=True))
        file, scratch = scratch_file(self._path.parent, "settings", mode=0o600)
        with file:
            file.write(text.encode() + b"\n")
            file.flush()
            scratch.replace(self._path)
        self._stamp = None
        self._settings = settings
