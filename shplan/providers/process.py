"""
`Process`: one image, or several, of the Process API, written to files of the project.

Facts: operation `process` of the API description, and the process page: without `responses` there is
one, `default`, a PNG; several come as a tar archive whose members are `<identifier>.<extension>`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, cast

from shplan.core.prices import process_cost
from shplan.core.request import Answer, ApiRequest, Effect
from shplan.core.value import Object, Value
from shplan.providers.answer_places import (
    SUFFIXES,
    PlaceError,
    Places,
    Target,
    form_of_path,
    places,
    project_path,
)
from shplan.providers.answers import MEDIA_TYPES, TAR, BadAnswerError, check_form, members, one_file
from shplan.providers.delivery_checks import check_image
from shplan.providers.immediate import ImmediateApi, Judged
from shplan.providers.immediate_kind import ImmediateKind

PATH: Final = "/process/v1"
_DEFAULT: Final = ("default", "png")
_EXTENSIONS: Final = {"png": "png", "jpeg": "jpg", "tiff": "tif", "json": "json"}


def responses_of(spec: Object) -> tuple[tuple[str, str], ...]:
    """Return identifier and form of each response that a request asks for."""
    output = spec.get("output")
    stated = output.get("responses") if isinstance(output, dict) else None
    found = []
    for one in stated if isinstance(stated, list) else ():
        told = one if isinstance(one, dict) else {}
        kind = told.get("format")
        media_type = kind.get("type") if isinstance(kind, dict) else None
        identifier = told.get("identifier")
        found.append(
            (
                identifier if isinstance(identifier, str) else _DEFAULT[0],
                MEDIA_TYPES.get(str(media_type), _DEFAULT[1]),
            )
        )
    return tuple(found) or (_DEFAULT,)


def _places(spec: Object, output: Value, directory: str) -> Places:
    responses = responses_of(spec)
    if isinstance(output, dict) and isinstance(output.get("files"), dict):
        return _mapped(responses, cast("Object", output["files"]), directory)
    if isinstance(output, dict) and "dir" in output:
        return _in_directory(responses, output["dir"], directory)
    stated = output.get("file") if isinstance(output, dict) else output
    at = ("file",) if isinstance(output, dict) else ()
    path = project_path(stated, directory=directory, at=at)
    if form_of_path(path) == "tar":
        return places([Target("", path, "tar")], beside=path)
    if len(responses) > 1:
        names = ", ".join(name for name, _ in responses)
        message = f"there are {len(responses)} responses ({names}) and one file."
        stem = path.rpartition(".")[0] or path
        raise PlaceError(
            message,
            path=at,
            hint=f"write `output: {{dir: {stem}}}`, a path for each with `files`, or {stem}.tar",
        )
    ((name, form),) = responses
    _check_suffix(path, form, at)
    return places([Target(name, path, form)], beside=path)


def _in_directory(responses: tuple[tuple[str, str], ...], stated: Value, directory: str) -> Places:
    text = stated.rstrip("/") if isinstance(stated, str) and len(stated) > 1 else stated
    home = project_path(text, directory=directory, at=("dir",))
    targets = [
        Target(name, f"{home}/{_safe(name)}.{_EXTENSIONS[form]}", form) for name, form in responses
    ]
    return places(targets, beside=home, directory=home)


def _mapped(responses: tuple[tuple[str, str], ...], stated: Object, directory: str) -> Places:
    forms = dict(responses)
    for name in stated:
        if name not in forms:
            message = f"there is no response `{name}`; there are {', '.join(forms)}."
            raise PlaceError(message, path=("files", name))
    missing = [name for name in forms if name not in stated]
    if missing:
        message = f"the response `{missing[0]}` has no path."
        why = "It is paid like the others, and would be thrown away."
        hint = f"write `{missing[0]}: out/{_safe(missing[0])}.{_EXTENSIONS[forms[missing[0]]]}`"
        raise PlaceError(message, path=("files",), why=why, hint=hint)
    targets = []
    for name, text in sorted(stated.items()):
        at = ("files", name)
        path = project_path(text, directory=directory, at=at)
        _check_suffix(path, forms[name], at)
        targets.append(Target(name, path, forms[name]))
    return places(targets, beside=targets[0].path)


def _check_suffix(path: str, form: str, at: tuple[str, ...]) -> None:
    """
    Refuse a suffix that promises another form; one that promises none is the user's business.

    Raises:
        PlaceError: it does
    """
    told = form_of_path(path)
    if told in ("", form):
        return
    message = f"{path} would hold a {form}, and its name says {told}."
    stem = path.rpartition(".")[0]
    raise PlaceError(
        message,
        path=at,
        hint=f"write `{stem}{SUFFIXES[form][0]}`, or ask for another `format` in `responses`",
    )


def _safe(name: str) -> str:
    return "".join(one if one.isprintable() and one not in "/\\" else "_" for one in name) or "_"


def _ask(body: Object, wanted: Places) -> ApiRequest:
    only = wanted.targets[0] if len(wanted.targets) == 1 else None
    media_types = {form: media_type for media_type, form in MEDIA_TYPES.items()}
    accept = media_types.get(only.form, TAR) if only is not None else TAR
    # An action, although it changes nothing: each time that it is asked is paid.
    return ApiRequest("process", "POST", PATH, Effect.ACTION, body=body, accept=accept)


def _judge(answer: Answer, spec: Object, wanted: Places) -> Judged:
    """
    Read an answer.

    Raises:
        BadAnswerError: it is none
    """
    responses = responses_of(spec)
    if len(wanted.targets) == 1 and wanted.targets[0].form != "tar":
        (target,) = wanted.targets
        return Judged({target.name: one_file(answer, form=target.form)})
    found = members(answer)
    contents = {"": answer.content}
    for name, form in responses:
        if _safe(name) not in found:
            message = f"the archive lacks {name}; it holds {', '.join(sorted(found)[:10])}"
            raise BadAnswerError(message)
        check_form(found[_safe(name)], form)
        contents[name] = found[_safe(name)]
    return Judged(contents)


def _content(contents: Mapping[str, bytes], target: Target, spec: Object, label: str) -> bytes:
    del spec, label
    return contents["" if target.form == "tar" else target.name]


API: Final = ImmediateApi(
    kind="Process",
    places=_places,
    ask=_ask,
    judge=_judge,
    content=_content,
    check=check_image,
    price=process_cost,
    is_labelled=lambda _: False,
)


def provider() -> ImmediateKind:
    """Return the provider of the kind."""
    return ImmediateKind(API, script_path=("evalscript",))
