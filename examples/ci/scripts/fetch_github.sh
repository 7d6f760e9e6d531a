#!/bin/sh
# Fetches plan.json, the artifact of the pull request that was merged. Needs GH_TOKEN, with `actions: read`.
set -eu

name="plan-$(sh scripts/reviewed_commit.sh)"
newest='[.artifacts[] | select(.expired | not)] | max_by(.created_at) | .workflow_run.id // empty'
run=$(gh api "repos/$GITHUB_REPOSITORY/actions/artifacts?name=$name" --jq "$newest")
if [ -z "$run" ]; then
  echo "There is no artifact $name: what was merged was never planned, or its plan has expired." >&2
  echo "Nothing was sent. Run this workflow by hand: it plans anew, and asks for an approval." >&2
  exit 4
fi
gh run download "$run" --repo "$GITHUB_REPOSITORY" --name "$name"
