#!/bin/sh
# The installed wheel, in an environment of its own, outside the checkout.
set -eu

wheel=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"${PYTHON:-python3}" -m venv "$scratch/venv"
"$scratch/venv/bin/python" -m pip install --quiet --disable-pip-version-check "$wheel[sandbox]"
cd "$scratch"
PATH="$scratch/venv/bin:$PATH"
export PATH
unset PYTHONPATH || true

shplan --version
shplan schema ByocTiles > /dev/null
python - << 'END'
import numpy

from shplan.script import Worker

text = "//VERSION=3\nfunction setup() { return {input: ['B04'], output: {bands: 1}}; }\n"
text += "const evaluatePixel = (sample) => [index(sample.B04, 1)];\n"
with Worker() as worker:
    worker.facts(text)
    with worker.begin(text) as rendering:
        planes = {"B04": numpy.array([[3.0]])}
        rendered = rendering.render([planes], height=1, width=1)
assert rendered.outputs[0].pixels.item() == 0.5
END
shplan init farm > /dev/null
cd farm
shplan validate
shplan apply --auto-approve > /dev/null
shplan plan --detailed-exitcode
shplan ledger verify
echo "The installed wheel works."
