"""
`shplan.lock`: answers of data kinds that the repository holds fast, one entry for each address.

An entry belongs to an environment, because its variables decide what is asked. It holds the question, so
that a changed one is noticed, and a digest, so that an edited answer is. Each item is a line of its own,
for whoever reviews or merges the file; `shplan pull` is the only one that writes it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, cast

from shplan.core.address import Address
from shplan.core.value import JsonObject, JsonValue, NotCanonicalError, Value, canonical, digest

LOCK_FILE: Final = "shplan.lock"
FORMAT: Final = 1


class LockError(Exception):
    """
    The file cannot be used.

    Args:
        line: where, from 1
    """

    def __init__(self, message: str, *, line: int = 1, hint: str = "") -> None:
        super().__init__(message)
        self.line, self.hint = line, hint


def sentence_of(error: LockError) -> str:
    """Return the error's sentence, which follows the name of the file."""
    return f"{error}."


@dataclass(frozen=True, slots=True)
class Pin:
    """
    An answer that is held fast.

    Args:
        deployment: which service gave it
        question: what was asked, in its one form
        content: the answer, in its one form
        digest: of question and answer, as the file says
    """

    deployment: str
    question: JsonObject
    content: JsonObject
    digest: str

    @classmethod
    def of(cls, deployment: str, question: JsonObject, content: JsonObject) -> Pin:
        """Hold an answer fast."""
        return cls(deployment, question, content, _digest(question, content))

    @property
    def is_whole(self) -> bool:
        """It is what was pulled: nobody has edited it."""
        try:
            return self.digest == _digest(self.question, self.content)
        except NotCanonicalError:
            return False


@dataclass(frozen=True, slots=True)
class Lock:
    """The pins of a project: by environment, then by printed address."""

    pins: Mapping[str, Mapping[str, Pin]] = field(default_factory=dict)

    def pin(self, environment: str, address: Address) -> Pin | None:
        """Return the entry of an address, None where there is none."""
        return self.pins.get(environment, {}).get(str(address))

    def with_pin(self, environment: str, address: Address, pin: Pin) -> Lock:
        """Return the same with one entry more, or another one; no other is touched."""
        own = {**self.pins.get(environment, {}), str(address): pin}
        return Lock({**self.pins, environment: own})


def parse_lock(text: str) -> Lock:
    """
    Read the file.

    Raises:
        LockError: it is no such file, or somebody has edited what it holds
    """
    if not text.strip():
        return Lock()
    try:
        document = json.loads(text, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        message = f"is not JSON: {error.msg}"
        if any(line.startswith(("<<<<<<<", ">>>>>>>")) for line in text.splitlines()):
            message = "holds the marks of a merge that was not finished"
        raise LockError(message, line=error.lineno) from error
    except RecursionError as error:
        message = "is nested too deeply"
        raise LockError(message) from error
    if not isinstance(document, dict) or not isinstance(document.get("pins"), dict):
        message = "is no list of pins"
        raise LockError(message)
    if document.get("format") != FORMAT:
        message = f"has format {document.get('format')!r}, and this version knows format {FORMAT}"
        raise LockError(message, hint="use the version of shplan that wrote it")
    pins: dict[str, dict[str, Pin]] = {}
    for environment, entries in document["pins"].items():
        if not isinstance(entries, dict):
            message = f"has no list of pins for {environment}"
            raise LockError(message)
        pins[environment] = {name: _pin(name, entry, text) for name, entry in entries.items()}
    return Lock(pins)


def render_lock(lock: Lock) -> bytes:
    """Return the file: the same pins give the same bytes, and each item is a line."""
    return ("\n".join(_lines(lock)) + "\n").encode()


def _lines(lock: Lock) -> Iterator[str]:
    yield "{"
    yield f'"format": {FORMAT},'
    yield '"pins": {'
    environments = sorted(name for name, entries in lock.pins.items() if entries)
    for place, environment in enumerate(environments):
        yield f"{json.dumps(environment)}: {{"
        entries = lock.pins[environment]
        for at, name in enumerate(sorted(entries)):
            yield from _entry(name, entries[name], last=at == len(entries) - 1)
        yield "}" + ("" if place == len(environments) - 1 else ",")
    yield "}"
    yield "}"


def _entry(name: str, pin: Pin, *, last: bool) -> Iterator[str]:
    yield f"{json.dumps(name)}: {{"
    yield f'"deployment": {json.dumps(pin.deployment)},'
    yield f'"question": {_text(pin.question)},'
    for member in sorted(pin.content):
        yield from _member(member, pin.content[member])
    yield f'"digest": {json.dumps(pin.digest)}'
    yield "}" if last else "},"


def _member(name: str, value: JsonValue) -> Iterator[str]:
    if not isinstance(value, list):
        yield f"{json.dumps(name)}: {_text(value)},"
        return
    if not value:
        yield f"{json.dumps(name)}: [],"
        return
    yield f"{json.dumps(name)}: ["
    for at, one in enumerate(value):
        yield _text(one) + ("" if at == len(value) - 1 else ",")
    yield "],"


def _text(value: JsonValue) -> str:
    return canonical(cast("Value", value)).decode()


def _pin(name: str, entry: object, text: str) -> Pin:
    line = _line_of(name, text)
    hint = f"shplan pull '{name}'" if "[" in name else f"shplan pull {name}"
    if not isinstance(entry, dict) or not isinstance(entry.get("question"), dict):
        message = f"has no question in the entry of {name}"
        raise LockError(message, line=line, hint=hint)
    ours = ("deployment", "question", "digest")
    content = {member: entry[member] for member in entry if member not in ours}
    return Pin(
        str(entry.get("deployment", "")), entry["question"], content, str(entry.get("digest", ""))
    )


def _digest(question: JsonObject, content: JsonObject) -> str:
    return digest(cast("Value", {"question": question, "content": content}))


def _line_of(name: str, text: str) -> int:
    at = text.find(f"{json.dumps(name)}:")
    return text.count("\n", 0, max(at, 0)) + 1


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Refuse what a careless merge leaves behind: one of two would silently be lost."""
    found: dict[str, object] = {}
    for name, value in pairs:
        if name in found:
            message = f"has {name} twice"
            raise LockError(message)
        found[name] = value
    return found
