# Write the differences of changed networks against $BASE to $COMMENT, in Markdown.
set -euo pipefail
git fetch --quiet --depth=1 origin "$BASE" 2>/dev/null || true
changed=false
: > "$COMMENT"
while IFS= read -r -d '' file; do
  code=0
  table=$(archc diff --md "$BASE:$file" "$file" 2>/dev/null) || code=$?
  if [ "$code" = 1 ]; then # 0: the same network; 2: no network, or one with errors, which the check tells
    changed=true
    printf '### %s\n\n%s\n\n' "$file" "$table" >> "$COMMENT"
  fi
done < <(git diff --name-only -z --diff-filter=M "$BASE" -- '*.arch')
echo "changed=$changed" >> "${GITHUB_OUTPUT:-/dev/stdout}"
