"""
The collection that declared tiles belong to, as far as the files say: its address, its bucket, its bands.
"""

from __future__ import annotations

from collections.abc import Iterable

from shplan.core.address import Address
from shplan.core.resource import Desired
from shplan.core.value import Object, Unknown

COLLECTION = "ByocCollection"


def home_of(spec: Object) -> Address | None:
    """Return the collection that a set of tiles refers to, None where it names one by its id."""
    stated = spec.get("collection")
    if not isinstance(stated, Unknown):
        return None
    addresses = {reference.address for reference in stated.references}
    return addresses.pop() if len(addresses) == 1 else None


def declared_home(spec: Object, resources: Iterable[Desired]) -> Desired | None:
    """Return the collection of a set among what is declared."""
    address = home_of(spec)
    return next((one for one in resources if one.address == address), None)


def bucket_of(spec: Object, resources: Iterable[Desired]) -> str:
    """Return the bucket that a set's files lie in, empty where no manifest says."""
    home = declared_home(spec, resources)
    bucket = home.spec.get("s3Bucket") if home is not None else None
    # `PROJECT:bucket` is how CDSE tells buckets of one name apart; a request names the bucket.
    return bucket.rpartition(":")[2] if isinstance(bucket, str) else ""
