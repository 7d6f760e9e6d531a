#!/bin/sh
# The demonstration: every command is shown before it runs.
set -eu

rm -rf .demo
mkdir .demo
cd .demo

say() {
  printf '\n\033[1m$ %s\033[0m\n' "$*"
  "$@"
}

say shplan init farm
cd farm
say shplan validate
say shplan plan
say shplan apply --auto-approve
say shplan plan --detailed-exitcode
printf '\n\033[1m$ %s\033[0m\n' "sed -i 's/Field imagery/Fields of Slovenia/' manifests/fields.yaml"
sed 's/Field imagery/Fields of Slovenia/' manifests/fields.yaml > changed.yaml
mv changed.yaml manifests/fields.yaml
say shplan plan
say shplan apply --auto-approve
say shplan status
say shplan ledger verify
printf '\nThe project of this demonstration lies in .demo/farm.\n'
