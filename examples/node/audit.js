// Writes a line for each change of a pod. `node audit.js <runtime folder>/config.json`
'use strict';

const fs = require('node:fs');
const { Plugin } = require('./plugin.js');

const note = process.env.AUDIT_FILE
  ? (text) => fs.appendFileSync(process.env.AUDIT_FILE, `${text}\n`)
  : (text) => console.log(text);

const plugin = new Plugin({
  config: process.argv[2],
  group: 'node-audit',
  resources: ['pods'],
  handle: (event) => note(`${event.type} ${event.key} version=${event.version} on=${event.object.spec?.nodeName ?? '-'}`),
  onGap: (gap) => note(`changes of ${gap.informer} were lost: ${gap.reason}`),
});

for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => plugin.leave());
plugin.run();
