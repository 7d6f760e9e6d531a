"""
`shplan sandbox`: the embedded Sentinel Hub as a server, for other programs.
"""

from __future__ import annotations

import errno
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from shplan.cli.sandbox_options import Behaviour, behaviour, prepare

if TYPE_CHECKING:
    from shplan.sandbox.address import Address


FORMS = ("text", "env", "toml", "json")
PREDEFINED = """\
Predefined collections of sentinelhub go to their own deployment; this sends one here:

  S2 = DataCollection.SENTINEL2_L2A.define_from("S2_SANDBOX", service_url=config.sh_base_url)
"""
NEXT = """
To use it from other programs:

  shplan sandbox serve --s3-port 0 --data {data}

and then, with the profile that it prints:

  from sentinelhub import SentinelHubBYOC, SHConfig
  byoc = SentinelHubBYOC(config=SHConfig("sandbox"))
  print([tile["path"] for tile in byoc.iter_tiles("{collection}")])"""


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
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMS),
    default="text",
    show_default=True,
    help="What is printed to stdout once it is ready: a profile and variables for people (text),"
    " lines of a shell (env), the profile (toml), or all of it in one line (json).",
)
@behaviour
def serve(
    port: int, s3_port: int | None, host: str, data: Path, form: str, behaviour: Behaviour
) -> int:
    """Serve until interrupted; prints how other clients are pointed at it."""
    from shplan.cli.embedded import require_packages  # noqa: PLC0415

    require_packages()
    from shplan.sandbox.remote_buckets import from_environment  # noqa: PLC0415
    from shplan.sandbox.serve import ListenError  # noqa: PLC0415
    from shplan.sandbox.serve import serve as serve_forever  # noqa: PLC0415

    prepare(data, behaviour)

    def announce(address: Address) -> None:
        _tell(address, form=form, data=data)

    try:
        serve_forever(
            data,
            port=port,
            s3_port=s3_port,
            host=host,
            remote=from_environment(os.environ),
            announce=announce,
        )
    except ListenError as error:
        option = "--s3-port" if error.port == s3_port and error.port != port else "--port"
        message = f"cannot listen on {host}, {error}{_way_out(error.reason, option)}"
        raise click.ClickException(message) from error
    return 0


def _way_out(reason: OSError, option: str) -> str:
    """What to do about a port that cannot be had."""
    if reason.errno == errno.EADDRINUSE:
        return f"; {option} 0 takes a free one"
    if reason.errno == errno.EACCES:
        return f"; {option} above 1023 is for everybody"
    return "; --host is an address of this machine, 127.0.0.1 unless said"


def _tell(address: Address, *, form: str, data: Path) -> None:
    """What programs need to stdout, what people need around it to stderr."""
    shown = shlex.quote(data.as_posix())
    click.echo(f"The sandbox is ready at {address.base_url}; its data lies in {shown}.", err=True)
    if form == "text":
        click.echo("\nFor sentinelhub, in ~/.config/sentinelhub/config.toml:\n", err=True)
        click.echo(address.as_toml())
        click.echo("\nFor the shell in which programs run, shplan among them:\n", err=True)
        click.echo(address.as_env())
    else:
        texts = {"env": address.as_env, "toml": address.as_toml, "json": address.as_json}
        click.echo(texts[form]())
    click.echo(f"\n{PREDEFINED}", err=True)
    click.echo(f"Sample data:  shplan sandbox seed --data {shown}", err=True)
    click.echo("Ctrl-C stops it.", err=True)


@command.command("seed")
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".shplan/sandbox"),
    show_default=True,
    help="Directory of the state and the buckets; made if it is not there.",
)
def seed(data: Path) -> int:
    """Add sample imagery, a collection of it, fields and a batch request; what is there stays."""
    from shplan.cli.embedded import readable, require_packages  # noqa: PLC0415

    require_packages()
    from shplan.sandbox.clock import SystemClock  # noqa: PLC0415
    from shplan.sandbox.remote_buckets import from_environment  # noqa: PLC0415
    from shplan.sandbox.seeding import seed as fill  # noqa: PLC0415
    from shplan.sandbox.settling import settle_at_once  # noqa: PLC0415
    from shplan.sandbox.world import World  # noqa: PLC0415

    with readable(data):
        world = World(data, clock=SystemClock(), remote=from_environment(os.environ))
        settle_at_once(world, {})
        seeded = fill(world)
        world.close()
    bucket = shlex.quote((data / "buckets" / seeded.bucket).as_posix())
    ingested = sum(status == "INGESTED" for status in seeded.tiles.values())
    for kind, text in (
        ("imagery", f"{bucket}  {len(seeded.images)} images, a band and a date each"),
        ("fields", f"{bucket}/{seeded.geopackage}  {len(seeded.fields)}, also {seeded.geojson}"),
        ("collection", f"{seeded.collection_id}  {ingested} of {len(seeded.tiles)} tiles INGESTED"),
        ("batch request", f"{seeded.batch_id}  {seeded.batch_status}"),
    ):
        click.echo(f"{kind:<15}{text}")
    collection, shown = seeded.collection_id, shlex.quote(data.as_posix())
    click.echo(NEXT.format(data=shown, collection=collection), err=True)
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
