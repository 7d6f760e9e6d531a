#!/bin/sh
# Installs the pinned shplan into .venv, and puts it on the path of the steps that follow.
set -eu

python3 -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
if [ -n "${GITHUB_PATH:-}" ]; then
  echo "$PWD/.venv/bin" >> "$GITHUB_PATH"
fi
