"""
What is kept of an answer: the files that it became, in the ledger's receipt and in a receipt file.

The receipt file lies beside the answer and says the same as the ledger: so a lost ledger, or a
colleague's new one, costs nothing as long as both are there. It is no proof: it counts only where
its parts give the key that the manifest gives.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, cast

from shplan.core.address import Address
from shplan.core.cost_form import levels_json, levels_of, terms_json, terms_of
from shplan.core.json_bounds import read_bounded
from shplan.core.resource import Receipt
from shplan.core.value import JsonObject, Object, digest
from shplan.providers.answer_places import Target

FORMAT: Final = "shplan/receipt/v1"
LONGEST_BYTES: Final = 1 << 24
STATUSES: Final = frozenset({"DONE", "PARTIAL"})


@dataclass(frozen=True, slots=True)
class Kept:
    """
    One file that an answer became.

    Args:
        label: whose rows it holds, where the file says so (a table); empty otherwise
    """

    path: str
    name: str
    form: str
    sha256: str
    size_bytes: int
    label: str = ""

    @classmethod
    def of(cls, target: Target, content: bytes, *, label: str) -> Kept:
        """Describe what is written to a place."""
        sha256 = hashlib.sha256(content).hexdigest()
        return cls(target.path, target.name, target.form, sha256, len(content), label)

    def as_json(self) -> JsonObject:
        """Return the form of receipts."""
        shown: JsonObject = {
            "path": self.path,
            "name": self.name,
            "form": self.form,
            "sha256": self.sha256,
            "sizeBytes": self.size_bytes,
        }
        return {**shown, "label": self.label} if self.label else shown

    def fits(self, target: Target, *, label: str) -> bool:
        """Tell whether a place asks for just these bytes."""
        return (self.name, self.form, self.label) == (target.name, target.form, label)


def kept_of(value: object) -> tuple[Kept, ...]:
    """Read a list of files from a receipt; what is none is left out."""
    found = []
    for one in value if isinstance(value, list) else ():
        if not isinstance(one, dict):
            continue
        texts = [one.get(name) for name in ("path", "name", "form", "sha256")]
        size, label = one.get("sizeBytes"), one.get("label", "")
        if all(isinstance(text, str) for text in (*texts, label)) and isinstance(size, int):
            path, name, form, sha256 = cast("list[str]", texts)
            found.append(Kept(path, name, form, sha256, size, str(label)))
    return tuple(found)


def files_of(receipt: Receipt | None) -> tuple[Kept, ...]:
    """Return the files that a receipt tells of."""
    return () if receipt is None else kept_of(receipt.outputs.get("files"))


def written_by_us(receipts: Iterable[Receipt | None]) -> Mapping[str, frozenset[str]]:
    """Return the digests of what our runs have written, by path."""
    found: dict[str, set[str]] = {}
    for receipt in receipts:
        for one in files_of(receipt):
            found.setdefault(one.path, set()).add(one.sha256)
    return {path: frozenset(digests) for path, digests in found.items()}


def receipt_text(address: Address, receipt: Receipt) -> bytes:
    """Return the content of a receipt file: for people, and to be found again."""
    document = document_of(address, receipt, receipt.outputs)
    return json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n"


def document_of(address: Address, receipt: Receipt, outputs: JsonObject) -> JsonObject:
    """
    Return the form of every receipt file.

    Args:
        outputs: what it says of the outputs, as fields of its own
    """
    return {
        "format": FORMAT,
        "address": str(address),
        "key": receipt.key,
        "attempt": receipt.attempt,
        "status": receipt.status,
        "costPu": receipt.cost_pu,
        **_estimate(receipt),
        **outputs,
        **({"failed": dict(receipt.failed)} if receipt.failed else {}),
        "parts": receipt.parts,
        "request": receipt.request,
    }


def is_receipt(content: bytes | None) -> bool:
    """Tell whether a file was written as a receipt file, sound or not: it may be written over."""
    return content is not None and FORMAT.encode() in content


def read_receipt(content: bytes | None) -> Receipt | None:
    """Read a receipt file; None where it is none, or does not hold what its key is made of."""
    document = read_document(content)
    if document is None or not kept_of(document.get("files")):
        return None
    outputs: JsonObject = {name: document[name] for name in ("files", "answer") if name in document}
    return receipt_of(document, outputs)


def read_document(content: bytes | None) -> JsonObject | None:
    """Read what was written as a receipt file; None for anything else."""
    try:
        document = read_bounded(content or b"")
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        return None
    return cast("JsonObject", document)


def receipt_of(document: JsonObject, outputs: JsonObject) -> Receipt | None:
    """Return the receipt that a document tells of, None where its parts do not give its key."""
    parts, request, failed = (document.get(name) for name in ("parts", "request", "failed"))
    cost, attempt = document.get("costPu"), document.get("attempt")
    sound = isinstance(parts, dict) and isinstance(attempt, int) and attempt > 0
    if not sound or document.get("status") not in STATUSES or not _is_keyed(document, parts):
        return None
    return Receipt(
        key=str(document["key"]),
        attempt=cast("int", attempt),
        id="",
        status=str(document["status"]),
        parts=cast("JsonObject", parts),
        request=request if isinstance(request, dict) else {},
        cost_pu=float(cost) if isinstance(cost, int | float) else None,
        outputs=outputs,
        failed={str(k): str(v) for k, v in failed.items()} if isinstance(failed, dict) else {},
        estimate_pu=levels_of(document.get("estimatePu")),
        estimate_terms=terms_json(terms_of(document.get("estimateTerms"))),
    )


def _estimate(receipt: Receipt) -> JsonObject:
    if receipt.estimate_pu is None:
        return {}
    return {
        "estimatePu": levels_json(receipt.estimate_pu),
        "estimateTerms": [*receipt.estimate_terms],
    }


def _is_keyed(document: Mapping[str, object], parts: object) -> bool:
    try:
        return digest(cast("Object", parts)) == document.get("key")
    except (ValueError, TypeError):
        return False
