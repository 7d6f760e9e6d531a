"""
`shplan sandbox`: the embedded Sentinel Hub as a server, for other programs.
"""

from __future__ import annotations

from pathlib import Path

import click

from shplan.cli.sandbox_options import Behaviour, behaviour, prepare


@click.group("sandbox")
def command() -> None:
    """Run the embedded Sentinel Hub for other programs, or reset a project's own."""


@command.command("serve")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8080,
    show_default=True,
    help="Port; 0 takes a free one.",
)
@click.option(
    "--s3-port",
    type=click.IntRange(0, 65535),
    help="Port on which the buckets are served over S3; 0 takes a free one.  [default: none]",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".shplan/sandbox"),
    show_default=True,
    help="Directory of the state and the buckets.",
)
@behaviour
def serve(port: int, s3_port: int | None, host: str, data: Path, behaviour: Behaviour) -> int:
    """Serve until interrupted; prints how other clients are pointed at it."""
    from shplan.cli.embedded import require_packages  # noqa: PLC0415

    require_packages()
    from shplan.sandbox.serve import serve as serve_forever  # noqa: PLC0415

    prepare(data, behaviour)

    def announce(text: str) -> None:
        click.echo(f"The sandbox is ready; its state and buckets lie in {data}.", err=True)
        click.echo("For the sentinelhub package (config.toml, and the environment):\n", err=True)
        click.echo(text)
        click.echo("\nCtrl-C stops it.", err=True)

    try:
        serve_forever(data, port=port, s3_port=s3_port, host=host, announce=announce)
    except SystemExit as error:
        # The server leaves by a code of its own, which would read as "partly done".
        message = f"cannot listen on {host}, port {port}; --port 0 takes a free one"
        raise click.ClickException(message) from error
    return 0


@command.command("reset")
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    default=Path(".shplan/sandbox"),
    show_default=True,
    help="Directory of the state and the buckets.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
def reset(data: Path, *, yes: bool) -> int:
    """Forget every object; the files in the buckets stay."""
    from shplan.cli.embedded import readable, require_packages  # noqa: PLC0415

    require_packages()
    if not yes:
        click.confirm(f"Forget every object of the sandbox in {data}?", abort=True, err=True)
    from shplan.sandbox.app import close_app, create_app  # noqa: PLC0415
    from shplan.sandbox.clock import SystemClock  # noqa: PLC0415
    from shplan.sandbox.store import discard_damaged  # noqa: PLC0415

    with readable(data):
        discard_damaged(data)
        app = create_app(data, clock=SystemClock())
        app.state.world.reset()
        close_app(app)
    click.echo("The sandbox is empty. Its buckets are as they were.", err=True)
    return 0
