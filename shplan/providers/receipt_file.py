"""
Receipts as files of the project (`receipts:` in shplan.yaml): their places, and what they say.

One file says what the ledger's receipt says, of whatever kind the job is, and for which project,
environment and deployment. It is no proof: it counts only where its parts give its key and all of
that is ours. What lies beside an answer is written in the same form by `immediate_receipt`.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, replace
from typing import Final, cast

from shplan.core.address import Address
from shplan.core.resource import Receipt
from shplan.core.run_key import SHORT_LENGTH
from shplan.core.value import JsonObject, JsonValue, Value, canonical
from shplan.providers.immediate_receipt import document_of, is_receipt, read_document, receipt_of

_PLAIN: Final = re.compile(r"[a-z0-9._-]*[a-z0-9_-]")
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]")
# Names that no directory can have on Windows, whatever follows a dot.
_DEVICES: Final = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?")
_LONGEST: Final = 80
_DIGEST_LENGTH: Final = 8
_KEYED_NAME: Final = re.compile(rf"(?P<key>[0-9a-f]{{{SHORT_LENGTH}}})\.json")


@dataclass(frozen=True, slots=True)
class Scope:
    """
    Where receipts hold.

    Args:
        deployment: its identity, as the ledger's entries carry it: with a sandbox's instance
        served: the same without an instance
    """

    project: str
    environment: str
    deployment: str
    served: str

    def is_history(self, deployment: object) -> bool:
        """Tell whether it is another instance of our sandbox: it was reset since."""
        before = f"{self.served}:"
        told = isinstance(deployment, str) and deployment.startswith(before)
        return told and self.deployment.startswith(before) and deployment != self.deployment


@dataclass(frozen=True, slots=True)
class Told:
    """
    What a receipt file comes to.

    Args:
        receipt: None where it does not count
        why: why it does not, as the end of a sentence; empty also for what is only history
    """

    receipt: Receipt | None = None
    why: str = ""


def folder_of(directory: str, environment: str) -> str:
    """Return where the receipt files of an environment lie."""
    return f"{directory}/{step_of(environment)}"


def path_of(folder: str, address: Address, key: str) -> str:
    """
    Return the place of a receipt: one for each address and run.

    Args:
        folder: of the environment
        key: the run key
    """
    short = key.removeprefix("sha256:")[:SHORT_LENGTH]
    name = step_of(address.name)
    if address.key is not None:
        name = f"{name}[{step_of(address.key)}]"
    return f"{folder}/{address.kind}/{name}/{short}.json"


def short_key_of(path: str) -> str:
    """Return the beginning of the run key that a path is of, empty for other files."""
    match = _KEYED_NAME.fullmatch(path.rpartition("/")[2])
    return "" if match is None else match["key"]


def step_of(text: str) -> str:
    """
    Return a text as the name of a directory, on every file system.

    Where two texts might become one name, be it only where capitals do not count, a digest of the
    text tells them apart.
    """
    plain = len(text) <= _LONGEST and _PLAIN.fullmatch(text) and not text.startswith(".")
    if plain and not _DEVICES.fullmatch(text):
        return text
    readable = _UNSAFE.sub("_", text)[:_LONGEST].strip(".") or "_"
    told = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST_LENGTH]
    # In front of a dot a device is one still.
    return f"_{readable}-{told}" if _DEVICES.match(readable.lower()) else f"{readable}-{told}"


def kept_text(address: Address, receipt: Receipt, scope: Scope) -> bytes:
    """Return the content of a receipt file; the same receipt gives the same bytes."""
    more: JsonObject = {
        "project": scope.project,
        "environment": scope.environment,
        "deployment": scope.deployment,
        "id": receipt.id,
        "account": receipt.account,
        "outputs": receipt.outputs,
    }
    document = cast("Value", document_of(address, receipt, more))
    # By way of the canonical form: what comes from the ledger orders its fields in another way.
    shown = json.loads(canonical(document))
    return json.dumps(shown, indent=2, ensure_ascii=False).encode() + b"\n"


def is_sound(content: bytes | None) -> bool:
    """Tell whether a file is a receipt whose parts give its key, wherever it holds."""
    document = read_document(content)
    return document is not None and receipt_of(document, {}) is not None


def read_kept(content: bytes | None, scope: Scope, *, short: str) -> Told:
    """
    Read a receipt file.

    Args:
        short: the beginning of the key, as its name says it
    """
    document = read_document(content)
    if document is None:
        broken = is_receipt(content)
        return Told(why="cannot be read as one" if broken else "is no receipt file")
    if scope.is_history(document.get("deployment")):
        return Told()
    for name in ("project", "environment", "deployment"):
        said, ours = document.get(name), getattr(scope, name)
        if said != ours:
            return Told(why=f"is of {name} {_shown(said)}, and this is {ours}")
    outputs = document.get("outputs")
    receipt = receipt_of(document, outputs if isinstance(outputs, dict) else {})
    if receipt is None:
        return Told(why="does not hold what gives its key: it was changed")
    if not receipt.key.startswith(f"sha256:{short}"):
        return Told(why="has the name of another run key")
    task, account = (document.get(name) for name in ("id", "account"))
    return Told(
        replace(
            receipt,
            id=task if isinstance(task, str) else "",
            account=account if isinstance(account, str) else "",
        )
    )


def _shown(said: JsonValue) -> str:
    return said if isinstance(said, str) and said.isprintable() else "(none)"


__all__ = [
    "Scope",
    "Told",
    "folder_of",
    "is_sound",
    "kept_text",
    "path_of",
    "read_kept",
    "short_key_of",
    "step_of",
]
