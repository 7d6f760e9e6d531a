"""
`shplan show`: a saved plan, or one resource as it would be sent.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from shplan.cli.given import read_given
from shplan.cli.options import Options, takes

if TYPE_CHECKING:
    from shplan.core.value import JsonObject


@click.command("show")
@click.argument("what", metavar="FILE|ADDRESS")
@click.option("--request", "request_", is_flag=True, help="Only the body of the request, offline.")
@takes("environment", "document")
def command(options: Options, what: str, *, request_: bool) -> int:
    """
    Show a saved plan, or one resource with its variables and expressions resolved.

    Works offline. Secrets are shown as where they come from; what only apply knows as
    `(known after apply)`.
    """
    path = Path(what)
    if path.is_file():
        return _show_file(options, path)
    if options.output == "markdown":
        message = "only a saved plan is shown as Markdown; one resource is JSON"
        raise click.UsageError(message)
    return _show_address(options, what, body_only=request_)


def _show_file(options: Options, path: Path) -> int:
    from shplan.cli.output import use_color, width, write_json, write_text  # noqa: PLC0415
    from shplan.views.saved_plan import load_plan, markdown_saved, render_saved  # noqa: PLC0415

    saved = load_plan(read_given(path), name=str(path))
    if options.output == "json":
        write_json(saved.document)
    elif options.output == "markdown":
        write_text(markdown_saved(saved))
    else:
        write_text(render_saved(saved, width=width(), color=use_color(options)))
    return 0


def _show_address(options: Options, text: str, *, body_only: bool) -> int:
    import difflib  # noqa: PLC0415

    from shplan.cli.output import write_json  # noqa: PLC0415
    from shplan.cli.project import open_project  # noqa: PLC0415
    from shplan.core.diagnostic import Diagnostic  # noqa: PLC0415
    from shplan.core.errors import PlanError  # noqa: PLC0415
    from shplan.core.value import printable  # noqa: PLC0415
    from shplan.providers.data import DataProvider  # noqa: PLC0415
    from shplan.providers.registry import PROVIDERS  # noqa: PLC0415

    kind = PROVIDERS.get(text.partition("/")[0])
    # Only the members of a set may have to be looked for in a bucket.
    loaded = open_project(options, offline=kind is None or kind.members_field is None)
    known = {str(one.address): one for one in loaded.resources}
    if text not in known:
        near = difflib.get_close_matches(text, known, n=1, cutoff=0.4)
        diagnostic = Diagnostic(
            code="cli/address",
            summary="No such address",
            what=f"there is neither a file nor a resource {text}.",
            hint=f"did you mean {near[0]}?" if near else f"known: {', '.join(list(known)[:5])}",
        )
        raise PlanError(diagnostic.what, diagnostics=(diagnostic,))
    desired = known[text]
    body = {**cast("JsonObject", printable(desired.spec))}
    field = PROVIDERS[desired.address.kind].members_field
    if field is not None and desired.lifecycle.managed:
        # Whatever table or expression they come from: each is the body of a request of its own.
        body[field] = [printable(member) for member in desired.members]
    provider = PROVIDERS[desired.address.kind]
    if isinstance(provider, DataProvider) and body_only:
        body = cast("JsonObject", printable(provider.body(desired.spec)))
    if body_only:
        write_json(body)
        return 0
    write_json(
        {
            "address": text,
            "spec": body,
            "members": len(desired.members),
            "dependsOn": [str(one) for one in desired.depends_on],
            "references": [str(one) for one in desired.references],
            "labels": {**desired.labels},
            "source": str(desired.source.span(("metadata", "name"))),
        }
    )
    return 0
