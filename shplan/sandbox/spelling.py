"""
Settings and faults as people type them: `waiting_s=2s`, `429:every=2,retry-after=500ms`.

What a name or a value may be is decided where settings and faults are; here is only the spelling.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from shplan.sandbox import faults
from shplan.sandbox.faults import FaultError
from shplan.sandbox.settings import SettingsError
from shplan.sandbox.wire import decode

if TYPE_CHECKING:
    from shplan.sandbox.faults import Fault
    from shplan.sandbox.settings import Settings
    from shplan.sandbox.wire import Json, JsonObject

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|s|m|h|d)?", re.ASCII)
_RANGE = ".."


def seconds(text: str) -> float:
    """
    The seconds of a duration such as `500ms`, `20s` or `1.5h`; a bare number counts seconds.

    Raises:
        ValueError: it is none
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        msg = f"{text!r} is no duration; write 500ms, 20s or 5m"
        raise ValueError(msg)
    return float(match[1]) * _SECONDS[match[2] or "s"]


def span(text: str) -> tuple[float, float]:
    """
    The seconds of a duration or of a range of them such as `100ms..2s`, least and most.

    Raises:
        ValueError: it is neither, or its ends are crossed
    """
    first, between, last = text.partition(_RANGE)
    least = seconds(first)
    most = seconds(last) if between else least
    if most < least:
        msg = f"{text!r} ends before it begins"
        raise ValueError(msg)
    return least, most


def changed(settings: Settings, assignments: list[str]) -> Settings:
    """
    The settings after assignments of the form `NAME=VALUE`.

    A value is JSON, or else text; what is counted in seconds may be a duration.

    Raises:
        SettingsError: no such name, or a value that it does not take
    """
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals:
            msg = f"{assignment!r} is not of the form NAME=VALUE"
            raise SettingsError(msg)
        settings = _assigned(settings, name.strip().replace("-", "_"), text.strip())
    return settings


def _assigned(settings: Settings, name: str, text: str) -> Settings:
    values = _readings(name, text)
    for value in values[:-1]:
        try:
            return settings.patched({name: value})
        except SettingsError:
            continue
    # What is said of the last reading is said of the text as it was typed.
    return settings.patched({name: values[-1]})


def _readings(name: str, text: str) -> list[Json]:
    readings: list[Json] = []
    try:
        readings.append(decode(text))
    except ValueError:
        if name.endswith("_s") and _DURATION.fullmatch(text):
            readings.append(seconds(text))
    return [*readings, text]


def fault(text: str) -> Fault:
    """
    The fault of a text: JSON, or its kind and then members, separated by commas.

    `after` is a duration or a range of them, `retry-after` a duration; a pattern with a comma can
    only be said in JSON.

    Raises:
        FaultError: there is no such fault
    """
    if text.lstrip().startswith("{"):
        try:
            return faults.parse(decode(text))
        except FaultError:
            raise
        except ValueError as error:
            msg = f"the fault is no JSON: {error}"
            raise FaultError(msg) from error
    kind, _, rest = text.partition(":")
    content: JsonObject = {"kind": kind.strip()}
    for member in rest.split(",") if rest.strip() else []:
        name, equals, value = member.partition("=")
        if not equals:
            msg = f"{member!r} is not of the form NAME=VALUE"
            raise FaultError(msg)
        content.update(_member(name.strip().replace("-", "_"), value.strip()))
    return faults.parse(content)


def _member(name: str, text: str) -> JsonObject:
    try:
        if name == "after":
            least, most = span(text)
            return {"seconds": least, "most_seconds": most}
        if name == "retry_after":
            return {"retry_after_ms": round(seconds(text) * 1000)}
    except ValueError as error:
        raise FaultError(str(error)) from error
    if name in ("method", "path"):
        return {name: text}
    if text == "all":
        return {name: None}
    try:
        return {name: decode(text)}
    except ValueError:
        return {name: text}


def latency(text: str) -> Fault:
    """
    The fault that delays every request by a duration, or by a range of them.

    Raises:
        FaultError: it is neither
    """
    return fault(f"latency:count=all,after={text}")
