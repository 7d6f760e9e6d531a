"""
`python -m shplan.schema`: derive all schema files again from `schemas/source`.

The extract itself is made from the service's document by `python -m shplan.schema.extract`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from shplan.schema import store
from shplan.schema.make import make, write


def main(arguments: list[str] | None = None) -> int:
    """Write every made file and say how many."""
    parser = argparse.ArgumentParser(
        prog="python -m shplan.schema", description="Derive the schema files from schemas/source."
    )
    parser.add_argument("command", nargs="?", choices=["derive"], default="derive")
    parser.add_argument("--output", type=Path, default=store.root(), help="instead of schemas/")
    options = parser.parse_args(arguments)
    made = make(store.root() / "source")
    write(options.output, made)
    sys.stderr.write(f"{len(made)} files written\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
