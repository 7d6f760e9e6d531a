#!/bin/sh
# Fetches plan.json of the merge request that was merged, as keep_gitlab.sh has kept it.
set -eu

commit=$(sh scripts/reviewed_commit.sh)
packages="$CI_API_V4_URL/projects/$CI_PROJECT_ID/packages/generic"
if ! curl --fail --silent --show-error --header "JOB-TOKEN: $CI_JOB_TOKEN" \
  --output plan.json "$packages/shplan-plan/$commit/plan.json"; then
  echo "There is no plan of $commit: what was merged was never planned." >&2
  echo "Nothing was sent. Run a pipeline of this branch by hand: it plans anew." >&2
  exit 4
fi
