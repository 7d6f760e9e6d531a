"""
Addresses: `Kind/name`, and `Kind/name[key]` for an instance of `forEach`.

An address names a resource in the repository. The ids that the server gives
are never called addresses.
"""

from __future__ import annotations

import re

from shplan.core.frozen import dataclass

_ADDRESS = re.compile(r"(?P<kind>[A-Z][A-Za-z]*)/(?P<name>[^\[\]/\s]+)(?:\[(?P<key>[^\[\]]+)\])?")


@dataclass(frozen=True, slots=True)
class Address:
    """The name of one resource; `key` tells the instances of one `forEach` apart."""

    kind: str
    name: str
    key: str | None = None

    @classmethod
    def parse(cls, text: str) -> Address:
        """
        Read the printed form.

        Raises:
            ValueError: the text is not `Kind/name` or `Kind/name[key]`
        """
        match = _ADDRESS.fullmatch(text)
        if match is None:
            msg = f"{text!r} is not an address; write Kind/name or Kind/name[key]"
            raise ValueError(msg)
        return cls(match["kind"], match["name"], match["key"])

    @property
    def base(self) -> Address:
        """The address without its key: the manifest that declares it."""
        return self if self.key is None else Address(self.kind, self.name)

    def __str__(self) -> str:
        suffix = "" if self.key is None else f"[{self.key}]"
        return f"{self.kind}/{self.name}{suffix}"

    def __lt__(self, other: Address) -> bool:
        return self._order() < other._order()

    def _order(self) -> tuple[str, str, bool, str]:
        return (self.kind, self.name, self.key is not None, self.key or "")
