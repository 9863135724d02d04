# Check the networks in $PATHS: annotations on stdout, and the file $SARIF. Ends with 1 where a network has errors.
set -euo pipefail
read -ra paths <<< "${PATHS:-}"
if [ "${#paths[@]}" = 0 ]; then
  code=0
  archc check --json >/dev/null 2>&1 || code=$?
  [ "$code" != 2 ] || paths=(.) # no paths are configured
fi
archc check --format sarif "${paths[@]}" > "$SARIF" || true
archc check --format github "${paths[@]}"
