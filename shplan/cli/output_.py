"""
`shplan output`: the values that a project promises to others.
"""

from __future__ import annotations

import asyncio

import click

from shplan.cli.options import Options, takes


@click.command("output")
@click.argument("name", required=False)
@takes("environment", "server", "format")
def command(options: Options, name: str | None) -> int:
    """Print the project's outputs; with NAME, that value alone, for scripts."""
    import difflib  # noqa: PLC0415

    from shplan.cli.listening import Listening  # noqa: PLC0415
    from shplan.cli.output import write_json, write_text  # noqa: PLC0415
    from shplan.cli.project import open_project  # noqa: PLC0415
    from shplan.cli.session import open_session  # noqa: PLC0415
    from shplan.core.diagnostic import Diagnostic  # noqa: PLC0415
    from shplan.core.errors import PlanError  # noqa: PLC0415
    from shplan.core.value import is_known, printable  # noqa: PLC0415
    from shplan.engine.runs import plan  # noqa: PLC0415

    loaded = open_project(options)
    if name is not None and name not in loaded.outputs:
        near = difflib.get_close_matches(name, loaded.outputs, n=1, cutoff=0.4)
        diagnostic = Diagnostic(
            code="cli/output",
            summary="No such output",
            what=f"the project has no output {name}.",
            hint=f"did you mean {near[0]}?" if near else f"known: {', '.join(loaded.outputs)}",
        )
        raise PlanError(diagnostic.what, diagnostics=(diagnostic,))

    async def run() -> int:
        with Listening(options) as events:
            async with open_session(
                loaded,
                options,
                applying=False,
                listener=events,
                priced=frozenset(),
                compares=False,
            ) as opened:
                planned = await plan(opened.session)
        values = {
            key: opened.loaded.resolver.fill_value(value, planned.attributes)
            for key, value in opened.loaded.outputs.items()
        }
        if name is not None and not is_known(values[name]):
            diagnostic = Diagnostic(
                code="cli/output",
                summary="Output not known yet",
                what=f"output {name} is known after apply.",
                hint="shplan apply",
            )
            raise PlanError(diagnostic.what, diagnostics=(diagnostic,))
        if options.output == "json":
            shown = {key: printable(value) for key, value in values.items()}
            write_json(shown if name is None else shown[name])
        elif name is not None:
            write_text(_text(values[name]))
        else:
            write_text("\n".join(f"{key} = {_text(value)}" for key, value in values.items()))
        return 0

    return asyncio.run(run())


def _text(value: object) -> str:
    import orjson  # noqa: PLC0415

    from shplan.core.value import map_leaves  # noqa: PLC0415

    if isinstance(value, dict | list):
        shown = map_leaves(
            value, lambda one: one if isinstance(one, int | float | None) else str(one)
        )
        return orjson.dumps(shown, option=orjson.OPT_SORT_KEYS).decode()
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)
