#!/bin/sh
# The demonstration: every command is shown before it runs. Needs `shplan` on the PATH.
set -eu
unset SHPLAN_ENVIRONMENT || true

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
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

# Pictures: what the batch delivered, and what an edit of the script would make of it, before it is paid for.
day=2025-06-21
show "python scripts/picture.py .shplan/sandbox/buckets/results/ndvi/$day/*/*/default.tif pictures/delivered.png 0 0.9"
python "$here/picture.py" .shplan/sandbox/buckets/results/ndvi/$day/*/*/default.tif pictures/delivered.png 0 0.9
say shplan evalscript render "BatchProcess/ndvi[$day]" --range 0 0.9 --size 340 -o pictures/before.png
show "sed -i 's/!sample.dataMask/!sample.dataMask || sample.B08 < 2 * sample.B04/' evalscripts/ndvi.js"
sed 's/!sample.dataMask/!sample.dataMask || sample.B08 < 2 * sample.B04/' evalscripts/ndvi.js > changed.js
mv changed.js evalscripts/ndvi.js
say shplan evalscript render "BatchProcess/ndvi[$day]" --range 0 0.9 --size 340 -o pictures/after.png
say shplan plan

printf '\nPictures of the vegetation on %s:\n\n' "$day"
printf '  .demo/farm/pictures/delivered.png   what the batch job delivered\n'
printf '  .demo/farm/pictures/before.png      the script as it ran\n'
printf '  .demo/farm/pictures/after.png       after the edit, which leaves out bare soil: not applied yet\n'
printf '\nThe project of this demonstration lies in .demo/farm. To go on, change a manifest there:\n\n'
printf '  cd .demo/farm && . ../../.venv/bin/activate\n'
printf '  shplan plan\n\n'
printf 'examples/README.md teaches one thing at a time, docs/jobs.md says what a job is.\n'
