"""
What was computed as files: each output in the format in which it is wanted, and what a script tells its user.

One encoder for every API that delivers. Source: the process pages; the page on metadata for `userdata`, and
for the names of files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shplan.sandbox import images, samples
from shplan.sandbox.process_requests import USERDATA
from shplan.sandbox.wire import encode

if TYPE_CHECKING:
    from shplan.sandbox.process import Computed
    from shplan.sandbox.process_requests import ProcessRequest, Wanted
    from shplan.script.rendering import Output


@dataclass(frozen=True, slots=True)
class ResultFile:
    """
    One file.

    Args:
        identifier: of the output, or `userdata`
    """

    identifier: str
    media_type: str
    content: bytes

    @property
    def name(self) -> str:
        """In an archive. An identifier may hold anything, but no file lies anywhere else."""
        safe = self.identifier.replace("/", "_").replace("\\", "_").replace("\0", "_")
        return f"{safe}.{images.EXTENSIONS[self.media_type]}"


def files_of(request: ProcessRequest, computed: Computed) -> list[ResultFile]:
    """The files that a request wants, in its order."""
    by_id = {one.facts.id: one for one in computed.rendered.outputs}
    return [
        userdata(computed, wanted)
        if wanted.identifier == USERDATA
        else _image(request, wanted, by_id[wanted.identifier])
        for wanted in request.wanted
    ]


def userdata(computed: Computed, wanted: Wanted) -> ResultFile:
    """What the script tells its user; an empty object where that is nothing."""
    told = computed.rendered.user_data
    text = encode({} if told is None else told)
    return ResultFile(USERDATA, wanted.media_type, text.encode())


def _image(request: ProcessRequest, wanted: Wanted, output: Output) -> ResultFile:
    content = images.encoded(
        samples.written(output.pixels, output.facts.sample_type),
        wanted.media_type,
        grid=request.grid,
        no_data=output.facts.nodata,
        quality=wanted.quality,
    )
    return ResultFile(wanted.identifier, wanted.media_type, content)
