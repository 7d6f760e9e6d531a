"""
`shplan import` of a job that was answered at once: a person says that what lies there is the answer.

The file's path stands for an id, since the server keeps nothing. The receipt has no cost: nobody
was asked.
"""

from __future__ import annotations

from collections.abc import Mapping

from shplan.core.entry import Result, Settlement
from shplan.core.files import FileFound, Inspect
from shplan.core.prices import PriceInput
from shplan.core.resource import Desired, Receipt
from shplan.core.run_key import run_key
from shplan.core.value import is_known
from shplan.providers.answer_places import PlaceError, Target
from shplan.providers.answers import BadAnswerError, check_form
from shplan.providers.base import ChangeFailedError, Surroundings
from shplan.providers.immediate import ImmediateApi, directory_of, input_of, label_of
from shplan.providers.immediate_receipt import Kept
from shplan.providers.job_outcome import estimated
from shplan.providers.reconciled import stated_record
from shplan.providers.steps import Flow


def confirm_immediate(
    api: ImmediateApi, desired: Desired, confirmed: str, surroundings: Surroundings
) -> Flow[Settlement]:
    """
    Take the files at the places for the answer.

    Raises:
        ChangeFailedError: the path is another one, a file is missing or of another form, or the key
            is not known yet
    """
    if not is_known(desired.spec) or not is_known(desired.run):
        message = f"the key of {desired.address} is not known before what it refers to exists"
        raise ChangeFailedError(message)
    given = input_of(api.kind, desired.spec, desired.run, deployment=surroundings.deployment)
    key = run_key(given)
    try:
        places = api.places(desired.spec, desired.run.get("output"), directory_of(desired))
        places = places.keyed(key.short)
    except PlaceError as error:
        raise ChangeFailedError(error.what) from error
    paths = [target.path for target in places.targets]
    if confirmed not in (*paths, places.directory):
        message = f"{confirmed} is not where {desired.address} writes: that is {', '.join(paths)}"
        raise ChangeFailedError(message)
    found: Mapping[str, FileFound] = yield Inspect(tuple(paths), frozenset(paths))
    files = tuple(
        _kept(api, target, found.get(target.path), label_of(desired.address))
        for target in places.targets
    )
    shown = [one.as_json() for one in files]
    run = surroundings.runs.get(key.digest)
    receipt = Receipt(
        key=key.digest,
        attempt=max(1, 0 if run is None else run.latest),
        id="",
        status="DONE",
        parts=key.parts,
        request=stated_record(desired.spec),
        outputs={"files": [*shown]},
    )
    if desired.script is not None:
        asked = PriceInput(desired.spec, desired.script, surroundings.tables)
        receipt = estimated(receipt, api.price(asked))
    return Settlement(
        Result.DONE,
        owned=True,
        spec=stated_record(desired.spec),
        prevent_destroy=desired.lifecycle.prevent_destroy,
        data={"key": key.digest, "files": [*shown]},
        receipt=receipt,
    )


def _kept(api: ImmediateApi, target: Target, found: FileFound | None, label: str) -> Kept:
    if found is None or found.obstacle:
        what = "is not there" if found is None else found.obstacle
        message = f"{target.path} {what}"
        raise ChangeFailedError(message)
    try:
        if found.content is not None:
            check_form(found.content, target.form)
    except BadAnswerError as error:
        message = f"{target.path}: {error}"
        raise ChangeFailedError(message) from error
    own = api.label_of(target, label)
    return Kept(target.path, target.name, target.form, found.sha256, found.size_bytes, own)
