#!/bin/sh
# A handler in shell, with jq: one JSON object a line on stdin, one answer a line on stdout.
#
#   handlers:
#     - {name: audit, command: [examples/lines/audit.sh], on: [pods], workers: 1}
#
# stderr is the handler's log. A failure is an answer with "error": the event comes again, later and later.
while IFS= read -r line; do
  id=$(printf '%s' "$line" | jq .id)
  if said=$(printf '%s' "$line" | jq -er '"\(.type) \(.resource) \(.key) app=\(.object.metadata.labels.app // "nobody")"' 2>&1); then
    printf '%s\n' "$said" >&2
    printf '{"id":%s,"ok":true}\n' "$id"
  else
    printf '{"id":%s,"error":"it has no labels that can be read"}\n' "$id"
  fi
done
