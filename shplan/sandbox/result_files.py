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
from shplan.sandbox.zarr_chunks import tile_key, zarr_chunks

if TYPE_CHECKING:
    from shplan.sandbox.cog_writing import CogParameters
    from shplan.sandbox.process import Computed
    from shplan.sandbox.process_requests import ProcessRequest, Wanted
    from shplan.sandbox.zarr_layout import ZarrLayout
    from shplan.script.rendering import Output

ZARR = "zarr/array"


@dataclass(frozen=True, slots=True)
class ResultFile:
    """
    One file.

    Args:
        identifier: of the output, or `userdata`
        key: below the place of the output, which is a folder then: that of an array; empty: the file
            lies there
    """

    identifier: str
    media_type: str
    content: bytes
    key: str = ""

    @property
    def name(self) -> str:
        """In an archive, or where files lie."""
        return file_name(self.identifier, self.media_type)


def file_name(identifier: str, media_type: str) -> str:
    """The name of a file. An identifier may hold anything, but no file lies anywhere else."""
    safe = identifier.replace("/", "_").replace("\\", "_").replace("\0", "_")
    return f"{safe}.{images.EXTENSIONS[media_type]}"


@dataclass(frozen=True, slots=True)
class Form:
    """
    How a task has its files.

    Args:
        cog: of TIFFs; none: they are plain ones
        zarr: of arrays; none: there are none
    """

    cog: CogParameters | None = None
    zarr: ZarrLayout | None = None


PLAIN = Form()


def files_of(request: ProcessRequest, computed: Computed, form: Form = PLAIN) -> list[ResultFile]:
    """
    The files that a request wants, in its order.

    Raises:
        CogError: they cannot be written as COGs
        ZarrError: they cannot be written as chunks
    """
    by_id = {one.facts.id: one for one in computed.rendered.outputs}
    found: list[ResultFile] = []
    for wanted in request.wanted:
        if wanted.identifier == USERDATA:
            found.append(_userdata(request, computed, wanted, form))
        elif wanted.media_type == ZARR:
            found += _chunks(request, wanted, by_id[wanted.identifier], form)
        else:
            found.append(_image(request, wanted, by_id[wanted.identifier], form))
    return found


def _userdata(
    request: ProcessRequest, computed: Computed, wanted: Wanted, form: Form
) -> ResultFile:
    """
    What the script tells its user; an empty object where that is nothing.

    Beside arrays, which all tiles share, each has a file of its own: a choice of ours.
    """
    told = computed.rendered.user_data
    text = encode({} if told is None else told)
    key = "" if form.zarr is None else f"{tile_key(form.zarr, request.grid)}.json"
    return ResultFile(USERDATA, wanted.media_type, text.encode(), key)


def _image(request: ProcessRequest, wanted: Wanted, output: Output, form: Form) -> ResultFile:
    content = images.encoded(
        samples.written(output.pixels, output.facts.sample_type),
        wanted.media_type,
        grid=request.grid,
        no_data=output.facts.nodata,
        quality=wanted.quality,
        cog=form.cog,
    )
    return ResultFile(wanted.identifier, wanted.media_type, content)


def _chunks(
    request: ProcessRequest, wanted: Wanted, output: Output, form: Form
) -> list[ResultFile]:
    assert form.zarr is not None
    pixels = samples.written(output.pixels, output.facts.sample_type)
    # An array has one band: the analysis has seen to it.
    chunks = zarr_chunks(form.zarr, wanted.identifier, pixels[:, :, 0], grid=request.grid)
    return [
        ResultFile(wanted.identifier, wanted.media_type, content, key) for key, content in chunks
    ]
