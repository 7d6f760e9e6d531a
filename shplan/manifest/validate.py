"""
A manifest against the schema of its kind, and the schema's verdict in words.

jsonschema-rs judges, a whole document in one call; its errors carry enough (paths, limits, options) to
say what is wrong. Unknown and secret values cannot be judged yet and never cause an error.
What no schema can say is in `meaning.py`.
"""

from __future__ import annotations

import re
from bisect import bisect
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, cast

from shplan.core.compare import instant
from shplan.core.value import JsonValue, Path, Sensitive, Unknown, Value
from shplan.manifest.parse import kind_of
from shplan.schema.store import manifest_schema

if TYPE_CHECKING:
    from jsonschema_rs import Draft202012Validator, ValidationError

Schema = Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Violation:
    """
    One thing that a schema forbids.

    Args:
        path: from the root of the document
        at_key: the key is at fault, not its value
    """

    path: Path
    code: str
    summary: str
    what: str
    why: str = ""
    hint: str = ""
    at_key: bool = False


def violations(
    kind: str, document: Value, *, subject: str, fresh: Container[int]
) -> list[Violation]:
    """
    Return what the schema of a kind forbids in an evaluated document.

    Args:
        document: with unknowns and secrets in place
        subject: how to call the document in sentences, e.g. `ByocCollection/fields`
        fresh: ids of the containers that may hold unknowns and secrets
    """
    deferred: set[Path] = set()
    plain = _substitute(document, (), deferred, fresh)
    validator = _validator(kind)
    if validator.is_valid(plain):
        return []
    found = []
    for error in validator.iter_errors(plain):
        if not _excused(error, deferred):
            found += _explain(error, manifest_schema(kind), plain, subject)
    return _without_echoes(found)


def dotted(path: Path) -> str:
    """Return a path as people write it: `spec.tiles[3].path`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text or "the document"


_MOST_NAMES = 400
_LONGEST_NAME = 200


def nearest(name: str, candidates: Iterable[str]) -> str | None:
    """Return the candidate that was probably meant; letter case and separators weigh nothing."""
    import difflib  # noqa: PLC0415 - only who mistypes pays for it

    folded: dict[str, str] = {}
    for candidate in sorted(candidates):
        folded.setdefault(_folded(candidate), candidate)
    wanted = _folded(name)
    # The comparison is quadratic in a name's length, and there may be a message for each name.
    near = [one for one in _neighbours(wanted, folded) if len(one) <= _LONGEST_NAME]
    if len(wanted) > _LONGEST_NAME:
        return None
    close = difflib.get_close_matches(wanted, near, n=1, cutoff=0.6)
    return folded[close[0]] if close else None


def _neighbours(name: str, known: Collection[str]) -> Iterable[str]:
    """Return all names where they are few, else those that begin or end most alike."""
    if len(known) <= _MOST_NAMES:
        return known
    forth, back = sorted(known), sorted(one[::-1] for one in known)
    half = _MOST_NAMES // 16
    at, from_end = bisect(forth, name), bisect(back, name[::-1])
    ending_alike = (one[::-1] for one in back[max(from_end - half, 0) : from_end + half])
    return sorted({*forth[max(at - half, 0) : at + half], *ending_alike})


def listed(names: Iterable[str], *, limit: int = 12) -> str:
    """Return names in back quotes, joined by commas, cut after some."""
    known = list(names)
    shown = ", ".join(f"`{name}`" for name in known[:limit])
    return f"{shown} and {len(known) - limit} more" if len(known) > limit else shown


def shown(value: JsonValue) -> str:
    """Return a value for a sentence, cut where it is long."""
    if isinstance(value, str):
        text = value if len(value) <= 60 else value[:57] + "..."
        return '"' + text.replace("\n", " ") + '"'
    if isinstance(value, dict | list):
        return kind_of(value)
    return (
        {True: "true", False: "false", None: "null"}.get(value, str(value))
        if (value is None or isinstance(value, bool))
        else str(value)
    )


def _folded(name: str) -> str:
    return "".join(one for one in name.lower() if one not in "-_ .")


@cache
def _validator(kind: str) -> Draft202012Validator:
    from jsonschema_rs import Draft202012Validator  # noqa: PLC0415 - loaded by who validates

    return Draft202012Validator(manifest_schema(kind), validate_formats=True)


def _substitute(value: Value, path: Path, deferred: set[Path], fresh: Container[int]) -> JsonValue:
    """Replace what is not known yet by a text of its own, and note where it stood."""
    if isinstance(value, Unknown | Sensitive):
        deferred.add(path)
        return f"deferred {len(deferred)}"
    if isinstance(value, dict | list) and id(value) in fresh:
        if isinstance(value, dict):
            return {
                key: _substitute(one, (*path, key), deferred, fresh) for key, one in value.items()
            }
        return [_substitute(one, (*path, at), deferred, fresh) for at, one in enumerate(value)]
    return cast(JsonValue, value)


def _excused(error: ValidationError, deferred: set[Path]) -> bool:
    """Tell whether an error may vanish once the values that it is about are known."""
    path = tuple(error.instance_path)
    if path in deferred:
        return True
    branches = getattr(error.kind, "context", None)
    if not branches:
        return False
    # A branch without errors holds as it is: nothing that is still unknown would change that.
    return any(branch and all(_excused(inner, deferred) for inner in branch) for branch in branches)


def _explain(
    error: ValidationError, schema: Schema, document: JsonValue, subject: str
) -> list[Violation]:
    case = _Case(error, schema, document, subject)
    return _EXPLANATIONS.get(error.kind.name, _other)(case)


def _without_echoes(found: list[Violation]) -> list[Violation]:
    """Drop what follows from another violation at the same place, and repetitions."""
    forbidden = {one.path for one in found if one.code == "manifest/contradiction"}
    kept = [
        one
        for one in found
        if one.code == "manifest/contradiction"
        or not any(one.path[: len(path)] == path for path in forbidden)
    ]
    return list(dict.fromkeys(kept))


class _Case:
    """One error with what its explanation needs."""

    def __init__(
        self, error: ValidationError, schema: Schema, document: JsonValue, subject: str
    ) -> None:
        self.error = error
        self.path: Path = tuple(error.instance_path)
        self.subject = subject
        self.value: JsonValue = cast(JsonValue, error.instance)
        self.schema = schema
        self.document = document

    @property
    def name(self) -> str:
        return f"`{dotted(self.path)}` of {self.subject}" if self.path else self.subject

    @property
    def node(self) -> Schema:
        """The part of the schema whose keyword failed."""
        return _descend(self.schema, self.error.schema_path[:-1])

    @property
    def definition(self) -> str:
        """The shared definition that failed, or empty."""
        steps = self.error.schema_path
        return str(steps[1]) if len(steps) > 2 and steps[0] == "$defs" else ""

    @property
    def description(self) -> str:
        """What the schema says of the field, as a sentence."""
        return _description(self.schema, self.error.evaluation_path[:-1])

    def option(self, name: str) -> JsonValue:
        return cast(JsonValue, getattr(self.error.kind, name))

    def violation(
        self,
        code: str,
        summary: str,
        what: str,
        *,
        why: str = "",
        hint: str = "",
        below: Path = (),
        at_key: bool = False,
    ) -> Violation:
        path = (*self.path, *below)
        return Violation(path, f"manifest/{code}", summary, what, why, hint, at_key)


def _descend(schema: Schema, steps: Sequence[str | int]) -> Schema:
    node: JsonValue = dict(schema)
    for step in steps:
        if isinstance(node, dict) and isinstance(step, str):
            node = node.get(step)
        elif isinstance(node, list) and isinstance(step, int):
            node = node[step]
        else:
            return {}
    return node if isinstance(node, dict) else {}


def _description(schema: Schema, steps: Sequence[str | int]) -> str:
    """Walk the evaluation, references and branches followed, to the last field's description."""
    node: JsonValue = dict(schema)
    found = ""
    for step in steps:
        if isinstance(node, list) and isinstance(step, int):
            node = node[step]
        elif not isinstance(node, dict):
            break
        elif step == "$ref":
            pointer = str(node.get("$ref", "")).removeprefix("#/").split("/")
            node = dict(_descend(schema, pointer))
        else:
            node = node.get(str(step))
            said = node.get("description") if isinstance(node, dict) else None
            kept = found if step in _BRANCHES else ""
            found = said if isinstance(said, str) else kept
    return found


_BRANCHES = ("allOf", "anyOf", "oneOf", "then", "else")


def _type(case: _Case) -> list[Violation]:
    kind = case.node.get("type")
    types = [str(one) for one in kind] if isinstance(kind, list) else [str(kind)]
    wanted = _either([_TYPE_NAMES.get(one, one) for one in types])
    return [
        case.violation(
            "type",
            "Value of the wrong type",
            f"{case.name} is {_with_value(case.value)}; it must be {wanted}.",
            why=case.description,
            hint=_type_hint(case, types),
        )
    ]


def _with_value(value: JsonValue) -> str:
    if value is None or isinstance(value, dict | list):
        return kind_of(value)
    return f"{kind_of(value)} ({shown(value)})"


# What a number lacks to be one of these.
_FORMS = {
    "Duration": "write the unit too: `{lead}{value}m` for minutes, or s, h, d",
    "Sha256": "write the 64 digits that `sha256sum` prints",
}


def _type_hint(case: _Case, types: list[str]) -> str:
    value = case.value
    field = case.path[-1] if case.path else ""
    lead = f"{field}: " if isinstance(field, str) and field else "- "
    if case.definition in _FORMS:
        return _FORMS[case.definition].format(lead=lead, value=shown(value))
    if "string" in types and isinstance(value, bool | int | float):
        return f'write `{lead}"{shown(value)}"` with quotes'
    if value is None:
        return f"give {dotted(case.path)} a value, or remove the line"
    if isinstance(value, str) and {"integer", "number"} & set(types) and _looks_numeric(value):
        return f"write `{lead}{value.strip()}` without quotes"
    if isinstance(value, str) and "boolean" in types:
        return f"write `{lead}{_as_boolean(value)}` without quotes"
    if "array" in types:
        return "write each item on a line of its own, after `- `"
    if "object" in types and isinstance(value, list):
        return "remove the `- `: this is one mapping, not a list"
    return ""


def _looks_numeric(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _as_boolean(text: str) -> str:
    return "false" if text.strip().lower() in {"false", "no", "off", "0", "n"} else "true"


def _required(case: _Case) -> list[Violation]:
    missing = str(case.option("property"))
    guard = case.error.schema_path[-2:-1] == ["else"]
    alternative = _guarded(case) if guard else ""
    node = case.node
    declared = _declared(case.schema, case.path)
    told = _property_description(case.schema, node, missing) or (
        _property_description(case.schema, declared, missing)
    )
    if alternative:
        return [
            case.violation(
                "missing-field",
                "Field missing",
                f"{case.name} has neither `{alternative}` nor `{missing}`.",
                why=told,
                hint=f"add `{alternative}` or `{missing}`",
            )
        ]
    given = case.value if isinstance(case.value, dict) else {}
    known = set(_properties(node))
    similar = nearest(missing, [name for name in given if name not in known])
    return [
        case.violation(
            "missing-field",
            "Field missing",
            f"{case.name} has no `{missing}`, which is required.",
            why=told,
            hint=f"rename `{similar}` to `{missing}`" if similar else f"add `{missing}: ...`",
        )
    ]


def _declared(schema: Schema, path: Path) -> Schema:
    """Return what declares the object at a path; a condition that failed may only demand of it."""
    node = schema
    for step in path:
        member = _properties(_followed(schema, node)).get(str(step))
        node = member if isinstance(member, dict) else {}
    return _followed(schema, node)


def _guarded(case: _Case) -> str:
    """Return the field whose absence made the other one required (`if: required`, `else`)."""
    outer = _descend(case.schema, case.error.schema_path[:-2])
    condition = outer.get("if")
    names = condition.get("required") if isinstance(condition, dict) else None
    return str(names[0]) if isinstance(names, list) and len(names) == 1 else ""


def _contradiction(case: _Case) -> list[Violation]:
    """Explain `properties: {x: false}` inside a `then`: x does not go with what the `if` names."""
    steps = case.error.schema_path
    outer = _descend(case.schema, steps[:-3]) if steps[-3:-2] == ["then"] else {}
    condition = outer.get("if")
    names = condition.get("required") if isinstance(condition, dict) else None
    field = dotted(case.path[-1:])
    partner = f" beside `{names[0]}`" if isinstance(names, list) and names else " here"
    return [
        case.violation(
            "contradiction",
            "Fields exclude each other",
            f"{case.name} cannot stand{partner}.",
            why=case.description,
            hint=f"remove `{field}`" + (f" or `{names[0]}`" if isinstance(names, list) else ""),
            at_key=True,
        )
    ]


def _unknown_fields(case: _Case) -> list[Violation]:
    known = list(_properties(case.node))
    unexpected = cast("list[str]", case.option("unexpected"))
    given = case.value if isinstance(case.value, dict) else {}
    free = [name for name in known if name not in given]
    return [_unknown_field(case, name, known, free) for name in unexpected]


def _unknown_field(case: _Case, name: str, known: list[str], free: list[str]) -> Violation:
    similar = nearest(name, free) or nearest(name, known)
    elsewhere = _place_of(case.schema, name) if similar is None else ""
    if similar and similar in free:
        hint = f"did you mean `{similar}`?"
    elif similar:
        hint = f"`{similar}` is given already; remove `{name}`"
    elif elsewhere:
        hint = elsewhere
    else:
        hint = (
            f"the fields here are {listed(known)}" if known else "remove it: no fields belong here"
        )
    holder = (
        f"`{dotted(case.path)}` of {case.subject}" if case.path else f"the document {case.subject}"
    )
    return case.violation(
        "unknown-field",
        "Field unknown",
        f"{holder} has no field `{name}`.",
        why=_MISPLACED.get(name, ""),
        hint=hint,
        below=(name,),
        at_key=True,
    )


_MISPLACED = {
    "id": "Ids are given by the server; manifests refer to things by their address.",
    "status": "It is set by the server.",
    "created": "It is set by the server.",
    "count": "There is no positional identity: instances are told apart by keys.",
    "for_each": "",
    "depends_on": "",
}


def _place_of(schema: Schema, name: str) -> str:
    """Say where in the document a field of this name does belong."""
    top = _properties(schema)
    if name in top:
        return f"`{name}` belongs at the top level of the document"
    for part in ("metadata", "spec", "run"):
        for holder, node in _members(schema, top.get(part), part):
            if name in _properties(node):
                return f"`{name}` belongs below `{holder}`"
    return ""


def _members(
    schema: Schema, node: JsonValue, name: str, depth: int = 0
) -> Iterator[tuple[str, Schema]]:
    """Yield the objects of the document's skeleton with their dotted names, three levels deep."""
    if not isinstance(node, dict) or depth > 3:
        return
    target = _followed(schema, node)
    if target:
        yield name, target
    for key, member in _properties(target).items():
        yield from _members(schema, member, f"{name}.{key}", depth + 1)


def _followed(schema: Schema, node: Schema) -> Schema:
    seen = 0
    while "$ref" in node and seen < 10:
        node = _descend(schema, str(node["$ref"]).removeprefix("#/").split("/"))
        seen += 1
    return node


def _properties(node: Schema) -> dict[str, JsonValue]:
    members = node.get("properties")
    return members if isinstance(members, dict) else {}


def _property_description(schema: Schema, node: Schema, name: str) -> str:
    member = _properties(node).get(name)
    if not isinstance(member, dict):
        return ""
    said = member.get("description") or _followed(schema, member).get("description")
    return said if isinstance(said, str) else ""


def _choice(case: _Case) -> list[Violation]:
    options = cast("list[JsonValue]", case.option("options"))
    value = case.value
    texts = [one for one in options if isinstance(one, str)]
    similar = nearest(value, texts) if isinstance(value, str) else None
    number = next((one for one in options if str(one) == value), None)
    if similar is not None:
        hint = f"did you mean `{similar}`?"
    elif number is not None:
        hint = f"write `{number}` without quotes"
    else:
        hint = ""
    return [
        case.violation(
            "value",
            "Value not allowed",
            f"{case.name} is {shown(value)}; it must be {_either([_plain(one) for one in options])}.",
            why=case.description,
            hint=hint,
        )
    ]


def _constant(case: _Case) -> list[Violation]:
    wanted = case.option("expected_value")
    return [
        case.violation(
            "value",
            "Value not allowed",
            f"{case.name} is {shown(case.value)}; it must be {_plain(wanted)}.",
            why=case.description,
            hint=f"write `{dotted(case.path[-1:])}: {_plain(wanted)}`",
        )
    ]


def _plain(value: JsonValue) -> str:
    return value if isinstance(value, str) else shown(value)


def _either(names: list[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + f" or {names[-1]}"


def _limit(sentence: str, option: str = "limit") -> Callable[[_Case], list[Violation]]:
    def explain(case: _Case) -> list[Violation]:
        limit = case.option(option)
        size = len(case.value) if isinstance(case.value, str | list | dict) else 0
        told = sentence.format(
            limit=limit, size=size, value=shown(case.value), s="s" * (limit != 1)
        )
        return [
            case.violation(
                "value", "Value not allowed", f"{case.name} {told}", why=case.description
            )
        ]

    return explain


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


def _pattern(case: _Case) -> list[Violation]:
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


def _format(case: _Case) -> list[Violation]:
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


def _instant_hint(case: _Case) -> str:
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


def _names(case: _Case) -> list[Violation]:
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


def _one_of(case: _Case) -> list[Violation]:
    """Explain members of which exactly one is wanted; other alternatives as `_best_branch` does."""
    branches = case.node.get("oneOf")
    names = [_only_required(branch) for branch in branches] if isinstance(branches, list) else []
    if not names or not all(names):
        return _best_branch(case)
    given = [name for name in names if isinstance(case.value, dict) and name in case.value]
    if len(given) > 1:
        return [_one_too_many(case, given)]
    written = case.value if isinstance(case.value, dict) else {}
    similar = next((n for n in names if nearest(n, written)), None)
    return [
        case.violation(
            "missing-field",
            "Field missing",
            f"{case.name} has neither {' nor '.join(f'`{name}`' for name in names)}.",
            why=case.description,
            hint=f"rename `{nearest(similar, written)}` to `{similar}`"
            if similar
            else f"add {_either([f'`{name}`' for name in names])}",
        )
    ]


def _only_required(branch: JsonValue) -> str:
    names = branch.get("required") if isinstance(branch, dict) and len(branch) == 1 else None
    return str(names[0]) if isinstance(names, list) and len(names) == 1 else ""


def _one_too_many(case: _Case, given: list[str]) -> Violation:
    return case.violation(
        "contradiction",
        "Fields exclude each other",
        f"{case.name} has both {' and '.join(f'`{name}`' for name in given)}.",
        why=case.description,
        hint=f"remove {_either([f'`{name}`' for name in given])}",
        below=(given[-1],),
        at_key=True,
    )


def _best_branch(case: _Case) -> list[Violation]:
    """Explain the alternative that comes nearest: the one whose errors lie deepest."""
    branches = cast("list[list[ValidationError]]", case.option("context"))
    ranked = [branch for branch in branches if branch]
    if not ranked:
        return _other(case)
    best = max(ranked, key=lambda branch: (max(len(e.instance_path) for e in branch), -len(branch)))
    found: list[Violation] = []
    for error in best:
        found += _explain(error, case.schema, case.document, case.subject)
    return found


def _unique(case: _Case) -> list[Violation]:
    items = case.value if isinstance(case.value, list) else []
    for index, item in enumerate(items):
        if item in items[:index]:
            return [
                case.violation(
                    "value",
                    "Value not allowed",
                    f"{case.name} holds {shown(item)} twice.",
                    below=(index,),
                    hint="remove one of them",
                )
            ]
    return _other(case)


def _count(sentence: str) -> Callable[[_Case], list[Violation]]:
    """Explain a mapping with too few or too many fields by naming those it may have."""

    def explain(case: _Case) -> list[Violation]:
        known = list(_properties(case.node))
        limit = case.option("limit")
        hint = f"give one of {listed(known)}" if known else ""
        return [
            case.violation(
                "value",
                "Value not allowed",
                f"{case.name} {sentence.format(limit=limit)}",
                why=case.description,
                hint=hint,
            )
        ]

    return explain


def _other(case: _Case) -> list[Violation]:
    return [
        case.violation(
            "value",
            "Value not allowed",
            f"{case.name} is not allowed: {case.error.message[:300]}.",
            why=case.description,
        )
    ]


_TYPE_NAMES = {
    "string": "a text",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "null",
}
_EXPLANATIONS: Mapping[str, Callable[[_Case], list[Violation]]] = {
    "type": _type,
    "required": _required,
    "falseSchema": _contradiction,
    "additionalProperties": _unknown_fields,
    "unevaluatedProperties": _unknown_fields,
    "enum": _choice,
    "const": _constant,
    "minimum": _limit("is {value}; the smallest value allowed is {limit}."),
    "maximum": _limit("is {value}; the largest value allowed is {limit}."),
    "exclusiveMinimum": _limit("is {value}; it must be greater than {limit}."),
    "exclusiveMaximum": _limit("is {value}; it must be smaller than {limit}."),
    "multipleOf": _limit("is {value}; it must be a multiple of {limit}.", "multiple_of"),
    "minLength": _limit("is {value}; it must have at least {limit} character{s}."),
    "maxLength": _limit("has {size} characters; at most {limit} are allowed."),
    "minItems": _limit("has {size} items; it must have at least {limit}."),
    "maxItems": _limit("has {size} items; at most {limit} are allowed."),
    "minProperties": _count("is empty; it must have at least {limit}."),
    "maxProperties": _count("has too many fields; at most {limit} is allowed."),
    "pattern": _pattern,
    "format": _format,
    "propertyNames": _names,
    "uniqueItems": _unique,
    "oneOf": _one_of,
    "anyOf": _best_branch,
}
