#!/bin/sh
# Applies exactly the plan that was reviewed, keeps the receipts, and says what to do where that
# cannot be.
set -eu

code=0
shplan apply "${1:-plan.json}" --lock-timeout 10m --format markdown > applied.md || code=$?
cat applied.md >> "${GITHUB_STEP_SUMMARY:-/dev/null}"
# Also of an apply that failed in part. The ledger has them as well.
sh scripts/receipts.sh || echo "The receipts are not pushed; the next apply writes them again." >&2
case $code in
  0) ;;
  3) echo "Not everything was done. Run this job again: it resumes; what failed needs a new plan." >&2 ;;
  4) echo "Nothing was sent: this is not what was reviewed any more. Plan anew: run this by hand." >&2 ;;
  5) echo "Nothing was sent: a policy, the budget or a protection refused." >&2 ;;
  6) echo "Nothing was sent: another apply holds the ledger. Run this job again." >&2 ;;
  7) echo "A person must decide: the report says what is unknown." >&2 ;;
  *) echo "Run this job again: it looks what was done before it does anything." >&2 ;;
esac
exit "$code"
