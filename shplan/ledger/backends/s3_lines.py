"""
The lines of a ledger in a bucket: read in order, whatever is put together meanwhile, and put
together.

Somebody who puts objects together removes what they were made of. A listing of several pages, or
one that is a moment old, then names what is gone or misses what took its place; so a reader that
meets a gap lists again before it believes in it.
"""

from __future__ import annotations

import contextlib
import io
import itertools
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence

from shplan.core.errors import StorageError
from shplan.ledger.backends import parts as layout
from shplan.ledger.backends.parts import Part
from shplan.ledger.backends.settling import put
from shplan.ledger.port import Mark, MarkLostError, Segment
from shplan.storage.objects import Objects
from shplan.storage.port import ConditionError
from shplan.storage.threads import ahead

_BATCH_OBJECTS = 32
_BATCH_BYTES = 8 * 2**20
_SWEPT = 128


class Lines:
    """
    The objects in one folder.

    Args:
        objects: the bucket
        folder: beginning of their keys, with the slash
        fan: how many of one tier are put together
        pack_bytes: what is put together is no larger
    """

    def __init__(self, objects: Objects, folder: str, *, fan: int, pack_bytes: int) -> None:
        self._objects = objects
        self._folder = folder
        self._fan = fan
        self._pack_bytes = pack_bytes
        self.loose = 0

    async def read(self, start: Mark | None, *, reach: int) -> AsyncIterator[Segment]:
        """
        Yield the objects in order, the first one from `start` on.

        Args:
            start: a place that an earlier reading or an append returned
            reach: number of the entry that has to be there

        Raises:
            MarkLostError: `start` is not there
        """
        due, doubted = 0, -1
        if start is not None:
            segment, due = await self._resume(start)
            yield segment
        while True:
            listed = [part for part in await self._arranged() if _is_ahead(part, due)]
            gap = False
            async with contextlib.aclosing(self._contents(listed)) as contents:
                async for part, content in contents:
                    gap = (content is None or part.first > due) and doubted != due
                    if gap:
                        break
                    if content is None:
                        continue
                    overlap = max(due - part.first, 0) if part.last >= 0 else 0
                    # Bytes are counted from where the lines begin, so the name has to say where.
                    name = layout.append_name(due) if overlap else part.name
                    # One by one: the object is in memory already, and once is enough.
                    lines = itertools.islice(io.BytesIO(content), overlap, None)
                    yield Segment(name, lines, max(part.first, due))
                    due = part.last + 1 if part.last >= 0 else part.first + _count(content)
            if not gap and (due > reach or doubted == due):
                return
            # It is looked at a second time; what is missing then is missing.
            doubted = due

    async def cut(self, end: Mark) -> None:
        """
        Cut off what follows `end` in its object.

        Raises:
            MarkLostError: it is not there
        """
        part, lines, skipped = await self._find(end)
        intact, size = [], 0
        for line in lines[skipped:]:
            if size + len(line) > end.offset:
                break
            intact.append(line)
            size += len(line)
        kept = b"".join([*lines[:skipped], *intact])
        key = self._folder + part.name
        there = await self._objects.get(key)
        if there is None or len(kept) == len(there.content):
            return
        if kept:
            await put(self._objects, key, kept, over=there.etag)
        else:
            await self._objects.delete([key])

    async def merge(self) -> None:
        """Put together what has become many, and remove what it was made of."""
        listed, spare = await self._listed()
        await self._sweep(listed, spare)
        while groups := layout.to_merge(listed, fan=self._fan, pack_bytes=self._pack_bytes):
            for group in groups:
                if not await self._join(group):
                    return
            listed = await self._arranged()

    async def _join(self, group: Sequence[Part]) -> bool:
        contents = await self._objects.get_many([self._folder + part.name for part in group])
        following = [part.first for part in group[1:]]
        due, joined = group[0].first, []
        for content, after in zip(contents, [*following, None], strict=True):
            # What is not as it should be stays as it is, for `verify` to find.
            if content is None or not content.endswith(b"\n"):
                return False
            due += content.count(b"\n")
            if after is not None and due != after:
                return False
            joined.append(content)
        name = layout.pack_name(group[0].first, due - 1, group[0].tier + 1)
        try:
            await put(self._objects, self._folder + name, b"".join(joined), over=None)
        except ConditionError:
            return False
        await self._remove([self._folder + part.name for part in group])
        return True

    async def _remove(self, keys: Sequence[str]) -> None:
        # Who may not remove leaves it beside what was made of it, where no reader takes it.
        with contextlib.suppress(StorageError):
            await self._objects.delete(keys)

    async def flaws(self) -> Sequence[str]:
        """Say which objects beside the ledger's own hold something else than these."""
        taken, spare = await self._listed()
        if not spare:
            return ()
        found = []
        async for part, is_same in self._compared(taken, spare):
            if not is_same:
                found.append(f"{part.name} does not hold what the entries of its number are")
        return found

    async def _sweep(self, taken: Sequence[Part], spare: Sequence[Part]) -> None:
        """Remove what somebody put together and did not live to remove, byte by byte the same."""
        # Where nobody may remove anything it becomes more and more: the last are enough.
        late = spare[-_SWEPT:]
        same = [part async for part, is_same in self._compared(taken, late) if is_same]
        if same:
            await self._remove([self._folder + part.name for part in same])

    async def _compared(
        self, taken: Sequence[Part], spare: Sequence[Part]
    ) -> AsyncIterator[tuple[Part, bool]]:
        """Tell of what stands beside what was put together whether it is the same, byte by byte."""
        for whole in taken:
            inner = [part for part in spare if whole.first <= part.first <= whole.last]
            if not inner:
                continue
            outer = await self._objects.get(self._folder + whole.name)
            lines = [] if outer is None else list(io.BytesIO(outer.content))
            async for part, content in self._contents(inner):
                # What is gone meanwhile was somebody's to remove.
                if content is not None and outer is not None:
                    stands = _stands(content, lines[part.first - whole.first :])
                    yield part, bool(content) and stands

    async def _resume(self, start: Mark) -> tuple[Segment, int]:
        part, lines, skipped = await self._find(start)
        rest, offset = lines[skipped:], 0
        count = 0
        while offset < start.offset and count < len(rest):
            offset += len(rest[count])
            count += 1
        if offset != start.offset:
            raise MarkLostError
        # By the name that the mark has: it counts the bytes behind it, wherever they lie now.
        return Segment(start.segment, rest[count:]), part.first + len(lines)

    async def _find(self, mark: Mark) -> tuple[Part, list[bytes], int]:
        """Return the object that holds a mark, its lines, and how many stand before the mark's."""
        named = layout.parse(mark.segment, 0)
        if named is None:
            raise MarkLostError
        for _ in range(2):
            listed = await self._arranged()
            index = layout.holder_of(listed, named.first)
            if index is None:
                raise MarkLostError
            part = listed[index]
            found = await self._objects.get(self._folder + part.name)
            if found is not None:
                return part, list(io.BytesIO(found.content)), named.first - part.first
        raise MarkLostError

    async def _arranged(self) -> list[Part]:
        taken, _ = await self._listed()
        return taken

    async def _listed(self) -> tuple[list[Part], list[Part]]:
        found = [
            layout.parse(one.key.removeprefix(self._folder), one.size_bytes)
            for one in await self._objects.list(self._folder)
        ]
        taken, spare = layout.arrange(part for part in found if part is not None)
        self.loose = sum(part.tier == 0 for part in taken)
        return taken, spare

    async def _contents(
        self, listed: Sequence[Part]
    ) -> AsyncGenerator[tuple[Part, bytes | None], None]:
        async with contextlib.aclosing(ahead(self._batched(listed))) as batches:
            async for batch in batches:
                for part, content in batch:
                    yield part, content

    async def _batched(
        self, listed: Sequence[Part]
    ) -> AsyncGenerator[list[tuple[Part, bytes | None]], None]:
        for batch in _batches(listed):
            contents = await self._objects.get_many([self._folder + part.name for part in batch])
            yield list(zip(batch, contents, strict=True))


def _count(content: bytes) -> int:
    """Return how many lines there are, one without its end included."""
    return content.count(b"\n") + (content[-1:] not in (b"", b"\n"))


def _is_ahead(part: Part, due: int) -> bool:
    return part.last >= due if part.last >= 0 else part.first >= due


def _stands(content: bytes, lines: Sequence[bytes]) -> bool:
    count = content.count(b"\n")
    return b"".join(lines[:count]) == content


def _batches(listed: Sequence[Part]) -> Iterator[list[Part]]:
    batch: list[Part] = []
    size = 0
    for part in listed:
        full = len(batch) >= _BATCH_OBJECTS or size + part.size_bytes > _BATCH_BYTES
        if batch and full:
            yield batch
            batch, size = [], 0
        batch.append(part)
        size += part.size_bytes
    if batch:
        yield batch
