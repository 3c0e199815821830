// A handler in Node: one JSON object a line on stdin, one answer a line on stdout. No library is needed.
//
//   handlers:
//     - {name: audit, command: [node, examples/audit.js], on: [pods]}
//
// With AUDIT_FILE set, what happened is appended there, else it goes to stderr, which is the handler's log.
'use strict';

const fs = require('node:fs');
const readline = require('node:readline');

const note = process.env.AUDIT_FILE
  ? (text) => fs.appendFileSync(process.env.AUDIT_FILE, text + '\n')
  : (text) => process.stderr.write(text + '\n');

const lines = readline.createInterface({ input: process.stdin, crlfDelay: Infinity });

lines.on('line', (line) => {
  const event = JSON.parse(line);
  try {
    const who = event.object.metadata.labels?.app ?? 'nobody';
    note(`${event.type} ${event.resource} ${event.key} version=${event.version} app=${who}`);
    answer({ id: event.id, ok: true });
  } catch (error) {
    // Delivered again later, at growing intervals, and in the end put aside as a dead letter.
    answer({ id: event.id, error: String(error) });
  }
});

function answer(reply) {
  process.stdout.write(JSON.stringify(reply) + '\n');
}
