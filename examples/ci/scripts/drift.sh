#!/bin/sh
# Checks the ledger, and whether the server is still as the last apply left it. Leaves with 2 where not.
set -eu

shplan ledger verify
code=0
shplan plan --drift --detailed-exitcode --format markdown > drift.md || code=$?
cat drift.md >> "${GITHUB_STEP_SUMMARY:-/dev/null}"
if [ "$code" = 2 ]; then
  echo "Somebody changed the server: drift.md says what. The next apply would undo it." >&2
fi
exit "$code"
