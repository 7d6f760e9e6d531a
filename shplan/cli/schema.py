"""
`shplan schema`: the JSON Schema of a kind, for editors and for people.
"""

from __future__ import annotations

import click


@click.command("schema")
@click.argument("kind", required=False)
@click.option("--path", "as_path", is_flag=True, help="Print where the schema file lies.")
@click.option(
    "--strict", is_flag=True, help="Without `{{ expressions }}`: what evaluated manifests meet."
)
def command(kind: str | None, *, as_path: bool, strict: bool) -> int:
    """
    Print the JSON Schema of KIND, or of all kinds.

    A manifest that starts with `# yaml-language-server: $schema=PATH` completes in an editor.
    """
    import difflib  # noqa: PLC0415

    from shplan.cli.output import write_json, write_text  # noqa: PLC0415
    from shplan.schema import store  # noqa: PLC0415

    kinds = store.manifest_kinds()
    if kind is not None and kind not in kinds:
        near = difflib.get_close_matches(kind, kinds, n=1, cutoff=0.4)
        hint = f" Did you mean {near[0]}?" if near else ""
        message = f"There is no kind {kind!r}.{hint} Kinds: {', '.join(kinds)}."
        raise click.UsageError(message)
    if as_path:
        write_text(str(store.path_of(kind or "shplan")))
    elif kind is None:
        write_json(store.dispatch_schema())
    else:
        write_json(store.manifest_schema(kind, expressions=not strict))
    return 0
