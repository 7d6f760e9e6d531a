"""
A head of a ledger under somebody's signature, as one line of a file that people commit.

What is signed is a statement: which ledger, which head, when. The signature is one of SSH's
(namespace `shplan-ledger`), so that keys serve which a team has already; who makes and checks it
is the command line's matter. Signatures lie outside the journal: they alter no chain, every
backend is served alike, and who can write to the ledger cannot take them away.
"""

from __future__ import annotations

import json
from typing import Final, cast

from shplan.core.anchors import Anchor
from shplan.core.frozen import dataclass
from shplan.core.value import JsonObject, Object, canonical

FORMAT: Final = 1
NAMESPACE: Final = "shplan-ledger"
_FIELDS: Final = {
    "v": int,
    "project": str,
    "environment": str,
    "sequence": int,
    "hash": str,
    "time": str,
    "signature": str,
}


@dataclass(frozen=True, slots=True)
class Statement:
    """
    What is signed.

    Args:
        project, environment: whose ledger
        sequence, hash: the head
        time: of the signing, UTC, as the signer's clock had it
    """

    project: str
    environment: str
    sequence: int
    hash: str
    time: str

    def content(self) -> bytes:
        """Return the bytes that are signed."""
        return canonical(cast("Object", self._record())) + b"\n"

    def anchor(self, *, source: str) -> Anchor:
        """Return the head as an anchor."""
        return Anchor(self.hash, self.sequence, source)

    def _record(self) -> JsonObject:
        return {
            "v": FORMAT,
            "project": self.project,
            "environment": self.environment,
            "sequence": self.sequence,
            "hash": self.hash,
            "time": self.time,
        }


@dataclass(frozen=True, slots=True)
class SignedHead:
    """A statement and its signature, in SSH's armour."""

    statement: Statement
    signature: str

    def line(self) -> bytes:
        """Return it as the line of a file."""
        record = json.loads(self.statement.content())
        return canonical(cast("Object", {**record, "signature": self.signature})) + b"\n"


@dataclass(frozen=True, slots=True)
class SignatureFinding:
    """
    Whether a signed head holds: an allowed signer made it, of this ledger, which still has it.

    Args:
        place: file and line
        anchor, time: what was signed, None and empty where the line is no signed head
        signer: who of the allowed signers, empty for nobody
        what: one sentence for people
    """

    place: str
    anchor: Anchor | None
    time: str
    signer: str
    holds: bool
    what: str


def parse(line: bytes) -> SignedHead:
    """
    Read a line.

    Raises:
        ValueError: it is no signed head, or one of a newer format
    """
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        msg = "it is not JSON"
        raise ValueError(msg) from error
    if not isinstance(record, dict):
        msg = "it is no object"
        raise ValueError(msg)  # noqa: TRY004 - one error for whatever a file may hold
    version = record.get("v")
    if type(version) is int and version > FORMAT:
        msg = f"it has format {version} and this shplan knows {FORMAT}: a newer shplan wrote it"
        raise ValueError(msg)
    if version != FORMAT or record.keys() != _FIELDS.keys():
        msg = f"it has not the fields of format {FORMAT}"
        raise ValueError(msg)
    if any(type(record[name]) is not kind for name, kind in _FIELDS.items()):
        msg = "a field is of another type"
        raise ValueError(msg)
    Anchor.parse(f"{record['sequence']}:{record['hash']}")
    signature = record.pop("signature")
    del record["v"]
    signed = SignedHead(Statement(**record), signature)
    if signed.line() != line.rstrip(b"\r\n") + b"\n":
        msg = "it is not as shplan writes it"
        raise ValueError(msg)
    return signed
