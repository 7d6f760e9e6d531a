#!/bin/sh
# Prints the commit whose plan was reviewed: the branch that the checked out commit merges, else
# that commit itself. A squash leaves no trace of the branch; merge with a merge commit instead.
set -eu

git rev-parse --verify --quiet "HEAD^2" || git rev-parse --verify HEAD
