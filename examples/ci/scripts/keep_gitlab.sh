#!/bin/sh
# Keeps plan.json in the project's package registry, under the commit that was planned.
set -eu

# Only a pipeline for merged results checks out another commit than the branch's own.
commit=${CI_MERGE_REQUEST_SOURCE_BRANCH_SHA:-$CI_COMMIT_SHA}
packages="$CI_API_V4_URL/projects/$CI_PROJECT_ID/packages/generic"
curl --fail --silent --show-error --header "JOB-TOKEN: $CI_JOB_TOKEN" \
  --upload-file plan.json "$packages/shplan-plan/$commit/plan.json"
