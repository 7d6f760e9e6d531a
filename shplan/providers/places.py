"""
Places in buckets as requests name them: one of `s3` and `gs`, with a URL.

Source: schemas ObjectStorageInfoV2, ObjectStorageOutputInfoV2 and AsyncProcessOutputDeliveryV2.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from shplan.core.paths import has_parts
from shplan.core.value import Value

_PLACEHOLDER = re.compile(r"<[^<>/]*>")


def url_of(place: Value) -> str:
    """Return the URL of a place, empty where none is stated or it is not known."""
    for store in ("s3", "gs"):
        info = place.get(store) if isinstance(place, dict) else None
        url = info.get("url") if isinstance(info, dict) else None
        if isinstance(url, str):
            return url
    return ""


def bucket_and_key(url: str) -> tuple[str, str]:
    """Split `s3://bucket/key`; the bucket is empty for anything else."""
    scheme, _, rest = url.partition("://")
    bucket, _, key = rest.partition("/")
    return (bucket, key) if scheme == "s3" else ("", "")


def placeholders_in(url: str) -> tuple[str, ...]:
    """Return the placeholders of a template, each once, in their order."""
    return tuple(dict.fromkeys(_PLACEHOLDER.findall(url)))


@dataclass(frozen=True, slots=True)
class Names:
    """
    The names that a template makes: a placeholder is any text but `/`.

    Args:
        steps: each as the texts around its placeholders
    """

    steps: tuple[tuple[str, ...], ...]

    def fit(self, name: str) -> bool:
        """Tell whether a name is one of them."""
        return self._begin(steps := name.split("/")) and len(steps) == len(self.steps)

    def hold(self, name: str) -> bool:
        """Tell whether a name lies below one of them, as in a folder."""
        return self._begin(steps := name.split("/")) and len(steps) > len(self.steps)

    def _begin(self, steps: list[str]) -> bool:
        return len(steps) >= len(self.steps) and all(
            has_parts(step, parts, least=1) for step, parts in zip(steps, self.steps, strict=False)
        )


def names_of(template: str) -> Names:
    """Return the names that a template makes."""
    return Names(tuple(tuple(_PLACEHOLDER.split(step)) for step in template.split("/")))


__all__ = ["Names", "bucket_and_key", "names_of", "placeholders_in", "url_of"]
