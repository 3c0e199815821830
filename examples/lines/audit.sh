#!/bin/sh
# A handler in shell, with jq: one JSON object a line on stdin, one answer a line on stdout.
#
#   handlers:
#     - {name: audit, command: [examples/lines/audit.sh], on: [{resource: pods, labels: app, changed: .spec}], workers: 1}
#
# Each change is appended to $AUDIT_FILE, or goes to stderr, which is the handler's log.
note() {
  # In a shell of its own: a file that cannot be opened would end this one.
  if [ -n "$AUDIT_FILE" ]; then (printf '%s\n' "$1" >>"$AUDIT_FILE") 2>/dev/null; else printf '%s\n' "$1" >&2; fi
}

while IFS= read -r line; do
  id=$(printf '%s' "$line" | jq .id)
  if ! said=$(printf '%s' "$line" | jq -er '"\(.type) \(.resource) \(.key) app=\(.object.metadata.labels.app // "nobody")"' 2>&1); then
    # Trying again cannot help: a dead letter at once.
    printf '{"id":%s,"dead":"it has no labels that can be read"}\n' "$id"
  elif note "$said"; then
    printf '{"id":%s,"ok":true}\n' "$id"
  else
    # It comes again in five seconds. Without retry_after_s it comes later and later.
    printf '{"id":%s,"error":"the audit file cannot be written","retry_after_s":5}\n' "$id"
  fi
done
