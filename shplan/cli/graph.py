"""
`shplan graph`: what is declared, and what depends on what; offline.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from shplan.cli.options import Options, takes

if TYPE_CHECKING:
    from shplan.core.resource import Desired
    from shplan.manifest.load import Loaded


@click.command("graph")
@takes("environment", "selection", "document")
def command(options: Options) -> int:
    """
    Print the dependencies between resources, as Graphviz DOT.

    Works offline, from the manifests alone. An arrow leads to what is depended on; it is
    dashed where only `dependsOn` says so, and a node where shplan only reads it. With --format
    markdown, a Mermaid diagram.

        shplan graph | dot -Tsvg > graph.svg
    """
    from shplan.cli.output import write_json, write_text  # noqa: PLC0415
    from shplan.cli.project import open_project  # noqa: PLC0415
    from shplan.views.graph import graph_json, graph_of, render_dot, render_mermaid  # noqa: PLC0415

    loaded = open_project(options, offline=True)
    graph = graph_of(
        _chosen(loaded, options),
        project=loaded.project.name,
        environment=loaded.environment.name,
        data=frozenset(question.address for question in loaded.questions),
    )
    if options.output == "json":
        write_json(graph_json(graph))
    elif options.output == "markdown":
        write_text(render_mermaid(graph))
    else:
        write_text(render_dot(graph))
    return 0


def _chosen(loaded: Loaded, options: Options) -> tuple[Desired, ...]:
    """
    Return what the selection leaves of the resources.

    Raises:
        click.UsageError: it asks for what only the server knows
    """
    from shplan.core.selection import Candidate, Selection  # noqa: PLC0415

    if any("state:" in one for one in (*options.select, *options.exclude)):
        message = "`state:` needs the server, and the graph is made from the manifests alone"
        raise click.UsageError(message)
    selection = Selection(options.select, options.exclude)
    if not selection:
        return loaded.resources
    candidates = {
        one.address: Candidate(
            depends_on=(*one.depends_on, *(reference.address for reference in one.references)),
            labels=one.labels,
            file=one.source.span(("metadata", "name")).file,
        )
        for one in loaded.resources
    }
    chosen = selection.addresses(candidates)
    return tuple(one for one in loaded.resources if one.address in chosen)
