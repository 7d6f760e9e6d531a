#!/bin/sh
# Plans the checkout: plan.json is what may be applied, plan.md is what people read.
# Leaves with 0 also where changes are pending, and otherwise as the apply would: 5 refused, 7 undecided.
set -eu

rm -f plan.json plan.md
shplan validate
code=0
shplan plan --detailed-exitcode -o plan.json --format markdown > plan.md || code=$?
cat plan.md >> "${GITHUB_STEP_SUMMARY:-/dev/null}"
if [ "$code" = 2 ]; then
  exit 0
fi
exit "$code"
