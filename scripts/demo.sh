#!/bin/sh
# The demonstration: every command is shown before it runs. Needs `shplan` on the PATH.
set -eu
unset SHPLAN_ENVIRONMENT || true

rm -rf .demo
mkdir .demo
cd .demo

bold='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
  bold=$(printf '\033[1m') plain=$(printf '\033[0m')
fi

show() {
  printf '\n%s$ %s%s\n' "$bold" "$*" "$plain"
}

say() {
  show "$@"
  "$@"
}

say shplan init farm
cd farm
say shplan validate
say shplan plan
say shplan apply --auto-approve
say shplan plan --detailed-exitcode
show "sed -i 's/Field imagery/Fields of Slovenia/' manifests/fields.yaml"
sed 's/Field imagery/Fields of Slovenia/' manifests/fields.yaml > changed.yaml
mv changed.yaml manifests/fields.yaml
say shplan plan
say shplan apply --auto-approve
say shplan plan --detailed-exitcode
show "echo '// A comment runs nothing again.' >> evalscripts/ndvi.js"
echo '// A comment runs nothing again.' >> evalscripts/ndvi.js
show "sed -i 's/\"2025-06-11\"]/\"2025-06-11\", \"2025-06-21\"]/' manifests/ndvi.yaml"
sed 's/"2025-06-11"]/"2025-06-11", "2025-06-21"]/' manifests/ndvi.yaml > changed.yaml
mv changed.yaml manifests/ndvi.yaml
say shplan plan
say shplan why 'BatchProcess/ndvi[2025-06-21]'
say shplan apply --auto-approve
say shplan status
say shplan ledger verify
printf '\nThe project of this demonstration lies in .demo/farm. To go on, change a manifest there:\n\n'
printf '  cd .demo/farm && . ../../.venv/bin/activate\n'
printf '  shplan plan\n\n'
printf 'examples/README.md teaches one thing at a time, docs/jobs.md says what a job is.\n'
