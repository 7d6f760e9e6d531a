"""
Places in buckets that a request names: forms of addresses, regions and credentials, by deployment.

Source: API reference, object storage access (S3 with a role or with keys, Google Cloud Storage; on CDSE keys
alone), bucket regions of the deployments, and `PROJECT:bucket` for buckets of CDSE.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from shplan.core.key_format import put_key
from shplan.core.request_faults import Fault, Faults, at
from shplan.core.run_key import SHORT_LENGTH
from shplan.core.value import Object, Path, Value

CDSE: Final = "cdse"
# Source: documentation of BYOC, "bucket region".
REGIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "aws-eu-central-1": ("eu-central-1",),
        "aws-us-west-2": ("us-west-2",),
        CDSE: ("waw3-1", "waw3-2", "waw4-1"),
    }
)
# The sandbox says that it is where most of the imagery is.
SANDBOX_REGIONS: Final = {"sandbox": REGIONS["aws-eu-central-1"]}
_S3 = re.compile(r"s3://([^/]+)(/.*)?", re.DOTALL)
_HOSTED = (
    re.compile(r"https?://([^./]+)\.s3[.-][^/]*/(.*)", re.DOTALL),
    re.compile(r"https?://s3[.-][^/]*/([^/]+)/(.*)", re.DOTALL),
    re.compile(r"https?://eodata\.[^/]*/([^/]+)/(.*)", re.DOTALL),
)
# Source: Amazon S3 User Guide, "Bucket naming rules".
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
# Source: AWS IAM User Guide, "IAM identifiers".
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d+:role/\S+")
_LONGEST = 400


def place_faults(spec: Object, deployment: str) -> Faults:
    """
    Return what is wrong with the places of a request, wherever they stand in it.

    Args:
        deployment: a built-in name, empty for any other
    """
    for path, store, place in _places(spec, ()):
        if store == "s3":
            yield from _s3_faults(place, path, deployment)
        elif deployment == CDSE:
            yield Fault(
                path,
                "place",
                "Store not offered here",
                "a place on Google Cloud Storage is named, and CDSE reaches only S3.",
                hint="name a bucket of CDSE as `s3`, with `accessKey` and `secretAccessKey`",
            )
        else:
            yield from _gs_faults(place, path)
    for name in ("s3Bucket", "bucketName"):
        bucket = spec.get(name)
        if isinstance(bucket, str):
            yield from _bucket_faults(bucket, (name,), deployment)


def _places(value: Value, path: Path) -> Iterator[tuple[Path, str, Object]]:
    """Yield what stands at `s3` and `gs`, with a `url`, three levels below a request."""
    if not isinstance(value, dict) or len(path) > 5:
        return
    for name, member in value.items():
        here = (*path, name)
        if name in ("s3", "gs") and isinstance(member, dict) and "url" in member:
            yield here, name, member
        else:
            yield from _places(member, here)


def _gs_faults(place: Object, path: Path) -> Faults:
    url = place.get("url")
    if isinstance(url, str) and not url.startswith("gs://"):
        on_s3 = url.strip().lower().startswith("s3://")
        yield Fault(
            (*path, "url"),
            "place",
            "Not a place on Google Cloud Storage",
            "the address of a place at `gs` does not begin with `gs://`.",
            "Places on Google Cloud Storage are named as gs://BUCKET/PATH.",
            "state it as `s3`, with a role or keys" if on_s3 else "write `url: gs://BUCKET/PATH`",
        )


def _s3_faults(place: Object, path: Path, deployment: str) -> Faults:
    url = place.get("url")
    if isinstance(url, str):
        # A run key that is not there yet stands for itself, with spaces around it.
        yield from _url_faults(put_key(url, "0" * SHORT_LENGTH), (*path, "url"), deployment)
    yield from _key_faults(place, path, deployment)
    yield from _region_faults(place, path, deployment)


def _url_faults(url: str, path: Path, deployment: str) -> Faults:
    found = _S3.fullmatch(url)
    if found is None:
        yield _not_s3(url, path)
        return
    bucket, key = found[1], found[2] or ""
    if "\\" in bucket:
        yield Fault(
            path,
            "place",
            "Backslashes in a path",
            "the address has backslashes, and so no bucket of its own.",
            "Only a slash stands between a bucket and what is in it.",
            "write `/` for each of them",
        )
        return
    yield from _bucket_faults(bucket, path, deployment)
    if "//" in key:
        yield Fault(
            path,
            "place",
            "Empty name in a path",
            "the path has two slashes in a row.",
            "A bucket takes that as a folder without a name, which few programs can show.",
            f"write `s3://{bucket}{re.sub('/+', '/', key)}`",
            sure=False,
        )
    elif len(key) > 1 and key.endswith("/"):
        yield Fault(
            path,
            "place",
            "Slash at the end",
            "the path ends with a slash.",
            "What the service appends begins with one, so that the path may get a folder without a name.",
            f"write `s3://{bucket}{key.rstrip('/')}`",
            sure=False,
        )
    if url != url.strip() or re.search(r"\s", url):
        yield Fault(
            path,
            "place",
            "White space in a path",
            "the address holds white space.",
            "It becomes a part of the objects' names.",
            "remove it",
            sure=False,
        )


def _not_s3(url: str, path: Path) -> Fault:
    bare = "://" not in url and "?" not in url and url.strip("/")
    hint = f"write `url: s3://{url.strip('/')}`" if bare else "write `url: s3://BUCKET/PATH`"
    for form in _HOSTED:
        found = form.fullmatch(url.partition("?")[0][:_LONGEST])
        if found is not None and found[2]:
            hint = f"write `url: s3://{found[1]}/{found[2]}`"
            break
    if url.strip().lower().startswith("s3://") and not url.startswith("s3://"):
        hint = "begin it with `s3://`, in small letters and without a space"
    if url.startswith("s3://"):
        return Fault(
            path,
            "place",
            "Bucket not named",
            "the address names no bucket.",
            "The service writes and reads with the API of S3, and names places as s3://BUCKET/PATH.",
            f"write `url: s3://BUCKET/{url.removeprefix('s3://').strip('/')[:80]}`",
        )
    # Not the whole of it: an address with a query may be signed.
    shown = url.partition("://")[0][:20]
    return Fault(
        path,
        "place",
        "Not a place on S3",
        f"the address begins with `{shown}://`."
        if "://" in url
        else f"`{url.partition('?')[0][:60]}` has no `s3://`.",
        "The service writes and reads with the API of S3, and names places as s3://BUCKET/PATH.",
        hint,
    )


def _bucket_faults(bucket: str, path: Path, deployment: str) -> Faults:
    project, colon, name = bucket.rpartition(":")
    if "/" in bucket:
        yield Fault(
            path,
            "place",
            "Not the name of a bucket",
            f"`{bucket[:80]}` is no name of a bucket.",
            "It is the name alone, without `s3://` and without a path.",
            f"write `{bucket.partition('://')[2].partition('/')[0] or bucket.partition('/')[0]}`",
        )
    elif colon and deployment in REGIONS and deployment != CDSE:
        yield Fault(
            path,
            "place",
            "Bucket of another deployment",
            f"the bucket is written as `{bucket[:80]}`.",
            "PROJECT:bucket is how CDSE names buckets; on AWS a name is unique by itself.",
            f"write `{name}`",
        )
    elif deployment == CDSE and not (colon and project) and path[-1] == "url":
        yield Fault(
            path,
            "place",
            "Bucket without its project",
            f"the bucket `{bucket[:80]}` is named without a project.",
            "Names of buckets are not unique on CDSE: without the project's id another may be meant.",
            f"write `PROJECT:{bucket[:80]}`, with the id of your project",
            sure=False,
        )
    elif not _BUCKET.fullmatch(name) and deployment in REGIONS:
        yield Fault(
            path,
            "place",
            "Name no bucket has",
            f"`{name[:80]}` breaks the rules for names of buckets.",
            "They have 3 to 63 lower-case letters, digits, dots and hyphens.",
            f"did you mean `{name.lower().replace('_', '-')[:80]}`?",
            sure=False,
        )


def _key_faults(place: Object, path: Path, deployment: str) -> Faults:
    """A key pair is a pair, and a role is instead of it. Source: schema S3BucketInfo."""
    role = place.get("iamRoleARN")
    if isinstance(role, str) and deployment != CDSE and not _ROLE.fullmatch(role):
        yield Fault(
            (*path, "iamRoleARN"),
            "place",
            "Not the name of a role",
            f"`{role[:80]}` is no ARN of a role.",
            "It is what AWS shows of a role: arn:aws:iam::ACCOUNT:role/NAME.",
            sure=False,
        )
    stated = {"accessKey", "secretAccessKey"} & place.keys()
    if "iamRoleARN" in place and deployment == CDSE:
        yield Fault(
            (*path, "iamRoleARN"),
            "place",
            "Access not offered here",
            "`iamRoleARN` is stated, and CDSE takes only keys.",
            "Its buckets are not on AWS, so that no role reaches them.",
            "state `accessKey` and `secretAccessKey` by secret(...)",
        )
    elif len(stated) == 1:
        (lacking,) = {"accessKey", "secretAccessKey"} - stated
        yield Fault(
            path,
            "place",
            "Half of a key pair",
            f"`{next(iter(stated))}` is stated without `{lacking}`.",
            hint=f"write `{lacking}: \"{{{{ secret('env:NAME') }}}}\"`",
        )
    elif stated and "iamRoleARN" in place:
        yield Fault(
            path,
            "place",
            "Two ways into the bucket",
            "a role and a key pair are both stated.",
            "Which of them the service uses is not documented.",
            "keep one of them",
            sure=False,
        )
    elif not stated and "iamRoleARN" not in place:
        role = "" if deployment == CDSE else "`iamRoleARN`, or "
        yield Fault(
            path,
            "place",
            "No access to the bucket",
            f"the {_noun(path)} has neither `iamRoleARN` nor a key pair.",
            "The service comes there with what the request gives it; bucket policies are not"
            " used any more.",
            f"state {role}`accessKey` and `secretAccessKey` by secret(...)",
        )


def _noun(path: Path) -> str:
    return "delivery" if "delivery" in path else "place"


def _region_faults(place: Object, path: Path, deployment: str) -> Faults:
    stated, known = at(place, "region"), REGIONS.get(deployment)
    if not isinstance(stated, str) or known is None or stated.lower() in known:
        return
    here = " or ".join(known)
    if deployment == CDSE:
        why = "CDSE reaches buckets in its own regions."
    else:
        why = "Results that leave the deployment's region are paid by the megabyte."
    yield Fault(
        (*path, "region"),
        "place",
        "Bucket in another region",
        f"the region is `{stated[:40]}`; the deployment is in {here}.",
        why,
        f"use a bucket in {here}",
        sure=False,
    )
