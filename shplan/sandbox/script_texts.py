"""
The evalscript of a request that is handled later: its text, or where in a bucket that lies.

Source: `evalscriptReference` of the schemas.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shplan.sandbox.objects import ObjectStoreError

if TYPE_CHECKING:
    from shplan.sandbox.batch_paths import Place
    from shplan.sandbox.storage import Storage


class ScriptTextError(Exception):
    """Why a script cannot be read, in words for its owner."""


@dataclass(frozen=True, slots=True)
class ScriptText:
    """
    The text as it was sent, or where it lies.

    Args:
        place: none: it was sent
        most_bytes: of a file that is taken for a script
    """

    text: str
    place: Place | None
    storage: Storage
    most_bytes: int

    def read(self) -> str:
        """
        The text as it is now; of any thread.

        Raises:
            ScriptTextError: it cannot be read
        """
        if self.place is None:
            return self.text
        try:
            with self.storage.find(self.place).opened() as (file, _):
                content = file.read(self.most_bytes + 1)
            text = content.decode()
        except (ObjectStoreError, OSError, ValueError) as error:
            msg = f"The evalscript at {self.place.url} cannot be read: {error}"
            raise ScriptTextError(msg) from error
        if len(content) > self.most_bytes:
            msg = f"The evalscript at {self.place.url} has more than {self.most_bytes} bytes."
            raise ScriptTextError(msg)
        return text
