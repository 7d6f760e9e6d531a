"""
Where the files of an asynchronous request go: the delivery URL and its placeholders.

Source: schemas `AsyncProcessS3BucketInfoTemplated` and `AsyncProcessGSBucketInfoTemplated`: a plain prefix stands
for `<REQUEST_ID>/<OUTPUT>`. Assumptions: `<OUTPUT>` is the name of a file, without its extension where the template
goes on with a dot; the copy of the request and the error lie in the folder of the outputs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from shplan.sandbox.batch_paths import DeliveryError, Place, is_safe_key, place_of

REQUEST_ID, OUTPUT = "<REQUEST_ID>", "<OUTPUT>"
MARKS = (REQUEST_ID, OUTPUT)
PLAIN = f"{REQUEST_ID}/{OUTPUT}"
REQUEST, ERROR = "request.json", "error.json"


@dataclass(frozen=True, slots=True)
class Delivery:
    """
    The delivery of one request.

    Args:
        scheme: `s3` or `gs`
        template: key with the placeholder of the output, if it has one
        root: folder of the files that are no outputs, without slashes at its ends
    """

    scheme: str
    bucket: str
    template: str
    root: str

    def beside(self, name: str) -> Place:
        """A file that is no output."""
        return Place(self.scheme, self.bucket, f"{self.root}/{name}" if self.root else name)

    def output(self, name: str) -> Place:
        """The file of an output; `name` has its extension."""
        bare = name.rpartition(".")[0]

        def named(mark: re.Match[str]) -> str:
            # A template that ends in an extension means the output's name alone.
            return bare if self.template[mark.end() :].startswith(".") else name

        key = re.sub(re.escape(OUTPUT), named, self.template)
        return Place(self.scheme, self.bucket, key)


def delivery(url: str, *, request_id: str, names: tuple[str, ...]) -> Delivery:
    """
    The delivery of a URL.

    Args:
        names: of the files of all outputs

    Raises:
        DeliveryError: a wrong URL, or a template whose files would not be distinct
    """
    place = place_of(url)
    template = place.key
    if not any(mark in template for mark in MARKS):
        template = f"{template}/{PLAIN}" if template else PLAIN
    template = template.replace(REQUEST_ID, request_id)
    made = Delivery(place.scheme, place.bucket, template, _root(template))
    keys = [made.output(name).key for name in names]
    keys += [made.beside(name).key for name in (REQUEST, ERROR)]
    if len(set(keys)) != len(keys):
        msg = f"must contain {OUTPUT}, so that no two files have one name"
        raise DeliveryError(msg)
    if not all(map(is_safe_key, keys)):
        msg = "makes names of files that are too long or are none"
        raise DeliveryError(msg)
    return made


def _root(template: str) -> str:
    steps = []
    for step in template.split("/")[:-1]:
        if OUTPUT in step:
            break
        steps.append(step)
    return "/".join(steps)
