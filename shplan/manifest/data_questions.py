"""
What data kinds are asked: their evaluated `spec`, and what has an answer already.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from shplan.core.address import Address
from shplan.core.resource import Desired
from shplan.core.value import Object
from shplan.manifest.expression_errors import ExpressionError
from shplan.manifest.loading import Loading
from shplan.manifest.readings import Question, missing_pin, one_form
from shplan.manifest.resolve import evaluate_tree
from shplan.providers.data import PIN, DataProvider


class DataQuestions:
    """The questions of one load."""

    def __init__(self, state: Loading) -> None:
        self._state = state
        self._specs: dict[Address, Object] = {}

    def spec(self, address: Address) -> tuple[DataProvider, Object] | None:
        """Return the evaluated `spec` of a data resource; what is wrong with it is said elsewhere."""
        manifest = self._state.manifests.get(address.base)
        if manifest is None or not isinstance(manifest.kind, DataProvider):
            return None
        if address not in self._specs:
            self._specs[address] = {}
            with suppress(ExpressionError):
                self._state.resolution.instances(address.base)
            instance = next(
                (one for one in manifest.instances or () if one.key == address.key), None
            )
            found = evaluate_tree(
                manifest.body.get("spec"),
                ("spec",),
                dynamic=manifest.dynamic,
                scope=self._state.scope(manifest, instance, address),
                world=self._state.resolution,
                complain=lambda _path, _error: None,
            ).value
            self._specs[address] = found if isinstance(found, dict) else {}
        return manifest.kind, self._specs[address]

    def names(self, address: Address) -> frozenset[str] | None:
        """Return the names of what a data kind gives, None for other kinds."""
        manifest = self._state.manifests.get(address.base)
        kind = None if manifest is None else manifest.kind
        return kind.names if isinstance(kind, DataProvider) else None

    def all(self, resources: Sequence[Desired], environment: str) -> tuple[Question, ...]:
        """Return what every data kind is asked; a pin that is missing is complained about."""
        questions: list[Question] = []
        for desired in resources:
            kind = self._state.order.registry[desired.address.kind]
            if not isinstance(kind, DataProvider):
                continue
            waits = self._state.readings.waits(desired.spec)
            form = None if waits else one_form(kind, desired.spec)
            question = Question(desired, self._state.readings.reading(desired.address), form)
            questions.append(question)
            is_pinned = kind.can_be_pinned and desired.spec.get(PIN) is True
            if is_pinned and question.reading is None and form is not None:
                self._complain_of_pin(question, environment)
        return tuple(questions)

    def _complain_of_pin(self, question: Question, environment: str) -> None:
        if self._state.order.pulling:
            return
        pin = self._state.readings.pin(question.address)
        if self._state.readings.problem is not None:
            self._state.complaints.add([self._state.readings.problem])
            return
        place = question.desired.source.span(("spec", PIN))
        self._state.complaints.add([missing_pin(question, pin, place, environment=environment)])

    def awaited(self, questions: Sequence[Question]) -> frozenset[Address]:
        """Return the data without an answer that instances depend on."""
        waited = {
            one.address for manifest in self._state.manifests.values() for one in manifest.waits_for
        }
        return frozenset(one.address for one in questions if one.address in waited)
