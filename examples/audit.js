// A handler in Node: one JSON object a line on stdin, one answer a line on stdout. No library is needed.
//
//   handlers:
//     - name: audit
//       command: [node, examples/audit.js]
//       on: [{resource: pods, labels: app, changed: .spec}]     # what is not wanted is never sent
//       workers: 32                                             # so many lines may wait for their answers
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
  const who = event.object.metadata.labels?.app ?? 'nobody';
  try {
    note(`${event.type} ${event.resource} ${event.key} version=${event.version} app=${who}`);
    answer({ id: event.id, ok: true });
  } catch (error) {
    // It comes again in five seconds. Without retry_after_s it comes later and later, in the end as a dead letter;
    // {id, dead: why} makes it one at once.
    answer({ id: event.id, error: String(error), retry_after_s: 5 });
  }
});

// A batch: the answers to lines that came together leave together.
let answers = '';
function answer(reply) {
  if (!answers) setImmediate(() => { process.stdout.write(answers); answers = ''; });
  answers += JSON.stringify(reply) + '\n';
}
