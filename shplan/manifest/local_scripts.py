"""
Evalscripts while manifests are loaded: the texts that references stand for, and what is wrong with them.

The worker that reads scripts is started when there is a script, and ends with the load.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from shplan.core.address import Address
from shplan.core.diagnostic import Diagnostic
from shplan.core.resource import Desired
from shplan.core.value import Object, Value
from shplan.core.value import Path as ValuePath
from shplan.manifest.expression_errors import ExpressionError
from shplan.manifest.expressions import evaluate
from shplan.manifest.geodata import sentence
from shplan.manifest.loading import Loading, Manifest
from shplan.manifest.scanner import holds_expression
from shplan.manifest.source import FileError

if TYPE_CHECKING:
    from shplan.manifest.script_checks import ScriptChecks
    from shplan.manifest.scripts import Scripts


class LocalScripts:
    """The scripts of one load, in files and in requests."""

    def __init__(self, state: Loading) -> None:
        self._state = state
        self._scripts: Scripts | None = None
        self._script_checks: ScriptChecks | None = None
        self._scripted: dict[Address, tuple[str, Desired, ValuePath]] = {}
        self._texts: dict[Address, str | None] = {}
        self._reading: list[Address] = []

    def all(self, resources: list[Desired]) -> list[Desired]:
        """Look at the scripts of all resources; return those with the facts of theirs."""
        for desired in resources:
            kind = self._state.order.registry[desired.address.kind]
            text = _text_at(desired.spec, kind.script_path)
            if text is not None and kind.script_path is not None:
                self.script_checks.serves(text, desired, kind.script_path)
        found = [self.looked_at(one) for one in resources]
        self.check_inputs(found)
        return found

    def close(self) -> None:
        """End what reads scripts, if there was one."""
        if self._scripts is not None:
            self._scripts.close()

    @property
    def scripts(self) -> Scripts:
        """The project's scripts; without any nothing of them is loaded."""
        if self._scripts is None:
            from shplan.manifest.scripts import Scripts  # noqa: PLC0415

            self._scripts = Scripts()
        return self._scripts

    @property
    def script_checks(self) -> ScriptChecks:
        """What looks at scripts; without any nothing of it is loaded."""
        if self._script_checks is None:
            from shplan.manifest.script_checks import ScriptChecks  # noqa: PLC0415

            self._script_checks = ScriptChecks(
                self.scripts, self._state.complaints.texts, deployment=self._state.deployment
            )
        return self._script_checks

    def text(self, address: Address) -> str | None:
        """
        Return what a reference to a local resource stands for, None for other kinds.

        Raises:
            ExpressionError: its file cannot be read, which is said where it is declared
        """
        manifest = self._state.manifests.get(address.base)
        if manifest is None or manifest.kind.text_field is None:
            return None
        if address in self._reading:
            circle = [*self._reading[self._reading.index(address) :], address]
            msg = "cycle"
            raise ExpressionError(
                msg,
                "Dependency cycle",
                f"the file of {address} depends on itself: {' -> '.join(map(str, circle))}.",
                why="To know which file it is, its text would have to be known.",
            )
        if address not in self._texts:
            self._reading.append(address)
            self._texts[address] = self._read_local(manifest, address)
            self._reading.pop()
        text = self._texts[address]
        if text is None:
            msg = "follows"
            raise ExpressionError(msg, "", "")
        return text

    def _read_local(self, manifest: Manifest, address: Address) -> str | None:
        spec, field_name = manifest.body.get("spec"), cast(str, manifest.kind.text_field)
        stated = spec.get(field_name) if isinstance(spec, dict) else None
        if not isinstance(stated, str):
            return None  # the schema says so
        instance = next((one for one in manifest.instances or () if one.key == address.key), None)
        path = ("spec", field_name)
        try:
            scope = self._state.scope(manifest, instance, address)
            name = (
                evaluate(stated, scope, self._state.resolution)
                if holds_expression(stated)
                else stated
            )
            if not isinstance(name, str):
                self._state.complaints.complain(
                    "file",
                    "File cannot be used",
                    f"the file of {address} is not known while planning.",
                    why="A script is checked before anything is sent.",
                    span=manifest.origin.span(path),
                    address=str(address),
                )
                return None
            place = self._state.files.locate(name, base=self._state.files.root / manifest.directory)
            text = self._state.files.read_text(place)
        except ExpressionError as error:
            self._state.complaints.expression(manifest.origin, path, error, str(address.base))
            return None
        except FileError as error:
            self._state.complaints.complain(
                "file",
                "File cannot be used",
                f"{name} {sentence(error)}",
                why=f"Paths are relative to the manifest's directory, {manifest.directory}/.",
                span=manifest.origin.span(path),
                address=str(address),
            )
            return None
        self._state.complaints.texts.remember(self._state.files.relative(place), text)
        self.scripts.files[text] = self._state.files.relative(place)
        return text

    def looked_at(self, desired: Desired) -> Desired:
        """Look at the evalscript of a resource: its own file, or the one in a request."""
        kind = self._state.order.registry[desired.address.kind]
        if kind.text_field is not None:
            text = self._texts.get(desired.address)
            if text is None and desired.address not in self._texts:
                with suppress(ExpressionError):
                    text = self.text(desired.address)
            if text is not None:
                self._state.complaints.add(self.script_checks.of_file(text, desired))
            return desired
        path = kind.script_path
        text = _text_at(desired.spec, path)
        if path is None or text is None:
            return desired
        self._state.complaints.add(self.script_checks.of_request(text, desired, path))
        return replace(desired, script=self.scripts.shape(text))

    def check_inputs(self, resources: list[Desired]) -> None:
        """Compare the inputs of scripts with the collections that requests name."""
        declared = {one.address: one.spec for one in resources}
        requests = []
        for desired in resources:
            path = self._state.order.registry[desired.address.kind].script_path
            text = _text_at(desired.spec, path)
            if text is not None and path is not None:
                requests.append((text, desired, path))
                self._state.complaints.add(
                    self.script_checks.of_inputs(text, desired, path, declared)
                )
                if self.script_checks.reads_others(desired, path):
                    self._scripted[desired.address] = (text, desired, path)
        if requests:
            self._state.complaints.add(self.script_checks.of_asked(requests))

    def check_observed(
        self, address: Address, attributes: Mapping[Address, Object]
    ) -> list[Diagnostic]:
        """Say of a script what was not known before its collections were looked at."""
        if address not in self._scripted:
            return []
        text, desired, path = self._scripted[address]
        try:
            return self.script_checks.of_inputs(text, desired, path, attributes)
        finally:
            self.scripts.close()


def _text_at(spec: Object, path: ValuePath | None) -> str | None:
    """Return the script of a request, None where there is none or it is not known."""
    found: Value = spec
    for step in path or ():
        found = found.get(str(step)) if isinstance(found, dict) else None
    return found if path is not None and isinstance(found, str) else None
