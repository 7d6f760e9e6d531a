"""
Texts of a wrong form: what a pattern, a format or a name asks for, and how to write it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast

from shplan.core.compare import instant
from shplan.manifest.violation import Case, Violation
from shplan.manifest.wording import dotted, shown

if TYPE_CHECKING:
    from jsonschema_rs import ValidationError

_INSTANT = "An instant has a date, a time and an offset, as RFC 3339 says."
_PATTERNS = {
    "TimeRange": (
        "is {value}, which is no instant.",
        f"{_INSTANT} `..` leaves the end open.",
        "",
    ),
    "ObjectUrl": (
        "is {value}, which is no address in a bucket.",
        "It is s3://BUCKET/PATH or gs://BUCKET/PATH, as the request has it.",
        "",
    ),
    "Sha256": (
        "is {value}, which is no SHA-256.",
        "It is 64 digits, 0 to 9 and a to f, as `sha256sum` prints them.",
        "",
    ),
    "Name": (
        "is {value}, which is no name.",
        (
            "Names hold letters, digits, `-`, `_` and `.`, begin and end with a letter or digit, and "
            "have at most 100 characters."
        ),
        "write `{slug}`",
    ),
    "Address": (
        "is {value}, which is no address.",
        "Addresses are `Kind/name`, or `Kind/name[key]` for one instance of a forEach.",
        "",
    ),
    "Duration": (
        "is {value}, which is no duration.",
        "A duration is a number and one of ms, s, m, h, d, e.g. 20s or 1h30m.",
        "",
    ),
    "VariableName": (
        "is {value}, which is no name of a variable.",
        (
            "Names hold letters, digits and `_`, and do not begin with a digit, so that expressions "
            "can read them."
        ),
        "write `{underscored}`",
    ),
    "path": (
        "is {value}, which is no path in a bucket.",
        "A path is relative to the bucket: no `s3://`, no slash at its beginning or end, no two in a row.",
        "write `{trimmed}`",
    ),
    "baseUrl": ("is {value}, which is no URL.", "It begins with https:// and a host.", ""),
    "tokenUrl": ("is {value}, which is no URL.", "It begins with https:// and a host.", ""),
    "bands": (
        "has a band called {value}, which no evalscript could use.",
        (
            "A band's name is a JavaScript identifier: it begins with a letter or `_` and holds "
            "letters, digits and `_`."
        ),
        "write `{identifier}`",
    ),
}


def explain_pattern(case: Case) -> list[Violation]:
    """Explain a text without the form that is asked for."""
    value = str(case.value)
    name = dotted(case.path[-1:])
    entry = _PATTERNS.get(case.definition) or _PATTERNS.get(name)
    if entry is None:
        text = f"{case.name} is {shown(value)}, which does not have the form that is asked for."
        why = f"{case.description} " if case.description else ""
        return [
            case.violation(
                "value",
                "Value not allowed",
                text,
                why=f"{why}The form is the regular expression {case.option('pattern')}",
            )
        ]
    what, why, hint = entry
    return [
        case.violation(
            "value",
            "Value not allowed",
            f"{case.name} {what.format(value=shown(value))}",
            why=why,
            hint=_instant_hint(case) if case.definition == "TimeRange" else _filled(hint, value),
        )
    ]


def _filled(hint: str, value: str) -> str:
    """Fill a hint with a corrected form of the value, or say nothing where there is none."""
    underscored = _only(value, "_", instead="_")
    path = value.partition("://")[2].partition("/")[2] if "://" in value else value
    forms = {
        "slug": _only(value, "-_.", instead="-").strip("-_."),
        "underscored": f"_{underscored}" if underscored[:1].isdigit() else underscored,
        "identifier": f"B{underscored}" if underscored[:1].isdigit() else underscored,
        "trimmed": "/".join(part for part in path.split("/") if part),
    }
    used = [form for name, form in forms.items() if "{" + name + "}" in hint]
    return hint.format(**forms) if all(used) else ""


def _only(value: str, signs: str, *, instead: str) -> str:
    """Keep ASCII letters, digits and some signs."""
    return "".join(
        one if one.isascii() and (one.isalnum() or one in signs) else instead for one in value
    )


_FORMATS = {
    "date-time": ("no instant", _INSTANT),
    "uuid": ("no UUID", "Ids of the service look like 7c2d9bfe-4a5e-4d9e-9f86-1b1f6f4a9c11."),
    "regex": ("no regular expression", ""),
    "date": ("no date", "A date is written YYYY-MM-DD."),
    "uri": ("no URL", ""),
    "duration": ("no duration", "A duration is written as ISO 8601 has it, e.g. P1D or PT1H."),
}


def explain_format(case: Case) -> list[Violation]:
    """Explain a text that is no instant, no id, no duration."""
    kind = str(case.option("format"))
    noun, why = _FORMATS.get(kind, (f"no {kind}", ""))
    return [
        case.violation(
            "value",
            "Value not allowed",
            f"{case.name} is {shown(case.value)}, which is {noun}.",
            why=why,
            hint=_instant_hint(case) if kind == "date-time" else "",
        )
    ]


def _instant_hint(case: Case) -> str:
    field = dotted(case.path[-1:])
    meant = _meant_instant(str(case.value).strip(), ends=field == "to")
    # The 30th of February cannot be spelt right.
    if meant == case.value or instant(meant) is None:
        return f'write e.g. `{field}: "2025-06-01T10:00:00Z"`'
    return f'write `{field}: "{meant}"`'


def _meant_instant(text: str, *, ends: bool) -> str:
    """
    Spell what looks like a date, or like a time without an offset or with spaces, as RFC 3339 does.

    Args:
        ends: an interval ends there, so that a date means its last second
    """
    if len(text) == 10:
        return f"{text}T23:59:59Z" if ends else f"{text}T00:00:00Z"
    rest = text[11:].replace(" ", "")
    if text[10:11] not in {" ", "T", "t"} or len(rest) < 8:
        return text
    offset = rest[8:] if rest[8:] and rest[8] in "+-Z." else "Z"
    if re.fullmatch(r"[+-][0-9]{4}", offset):
        offset = f"{offset[:3]}:{offset[3:]}"
    return f"{text[:10]}T{rest[:8]}{offset}"


def explain_key(case: Case) -> list[Violation]:
    """Explain a key that is no allowed name."""
    inner = cast("ValidationError", case.option("error"))
    key = str(inner.instance)
    steps = inner.schema_path
    definition = str(steps[1]) if len(steps) > 2 and steps[0] == "$defs" else ""
    what, why, hint = (
        _PATTERNS.get(dotted(case.path[-1:]))
        or _PATTERNS.get(definition)
        or (
            "has the key {value}, which is no allowed name.",
            "",
            "",
        )
    )
    if definition in _PATTERNS:
        what = what.replace("is {value}", "has the key {value}")
    return [
        case.violation(
            "value",
            "Value not allowed",
            f"{case.name} {what.format(value=shown(key))}",
            why=why,
            hint=_filled(hint, key),
            below=(key,),
            at_key=True,
        )
    ]
