// Reads the project's vectors (tests/vectors/wire) and puts them through this implementation. Exit code 1 if one fails.
'use strict';

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { Session, pack, unpack } = require('./session.js');
const { outcomeOf, Dead, Retry } = require('./plugin.js');

const folder = process.argv[2] ?? path.join(__dirname, '..', '..', 'tests', 'vectors', 'wire');

/** `{"bin": hex}` stands for bytes. */
function plain(value) {
  if (Array.isArray(value)) return value.map(plain);
  if (value && typeof value === 'object') {
    if (Object.keys(value).join() === 'bin') return Uint8Array.from(Buffer.from(value.bin, 'hex'));
    return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, plain(v)]));
  }
  return value;
}

/** Bytes as `Uint8Array`, whatever kind of them came. */
const bytes = (value) => plain(JSON.parse(JSON.stringify(value, (_, v) =>
  v instanceof Uint8Array || v?.type === 'Buffer' ? { bin: Buffer.from(v.data ?? v).toString('hex') } : v)));

let count = 0;
for (const file of fs.readdirSync(folder).filter((name) => name.endsWith('.json'))) {
  for (const vector of JSON.parse(fs.readFileSync(path.join(folder, file)))) {
    const [, session, n, messages] = plain(vector.decoded);
    const read = unpack(Buffer.from(vector.hex, 'hex'));
    assert.deepStrictEqual(bytes(read), { session, n, messages }, `${file}: ${vector.name}`);
    assert.deepStrictEqual(bytes(unpack(pack(session, n, ...messages))), { session, n, messages }, `${file}: ${vector.name}`);
    count += 1;
  }
}

// The rules of a session, with a clock of the test's own.
const said = (session, n, ...messages) => ({ session, n, messages });
const opened = () => {
  const session = new Session();
  session.hello(0, 'handler');
  assert.strictEqual(session.take(said(7, 0, ['welcome', {}]), 1).verdict, 'opened');
  return session;
};
const rules = {
  'a hello is repeated every two seconds until a welcome comes': () => {
    const session = new Session();
    assert(session.isHelloDue(0));
    session.hello(0, 'handler');
    assert(!session.isHelloDue(1999) && session.isHelloDue(2000));
  },
  'frames are counted from 1 in each direction': () => {
    const session = opened();
    assert.strictEqual(unpack(session.frame(['bye'])).n, 1);
    assert.strictEqual(session.take(said(7, 1, ['synced', 'dev/pods', 0]), 2).verdict, 'take');
  },
  'a gap ends the session': () => assert.strictEqual(opened().take(said(7, 2, ['synced']), 2).verdict, 'lost'),
  'a reset ends the session': () => assert.strictEqual(opened().take(said(7, 0, ['reset']), 2).verdict, 'lost'),
  'a second welcome ends the session': () =>
    assert.strictEqual(opened().take(said(8, 0, ['welcome', {}]), 2).verdict, 'lost'),
  'a frame of another session is ignored': () =>
    assert.strictEqual(opened().take(said(6, 1, ['synced']), 2).verdict, 'ignore'),
  'after a refusal there is no hello for five seconds': () => {
    const session = opened();
    assert.strictEqual(session.take(said(0, 0, ['refuse', 'no']), 10).verdict, 'refused');
    assert(!session.isHelloDue(5009) && session.isHelloDue(5010));
  },
};
for (const [name, rule] of Object.entries(rules)) {
  try {
    rule();
  } catch (error) {
    error.message = `${name}: ${error.message}`;
    throw error;
  }
}

(async () => {
  const attempt = { attempt: 4 };
  const failing = (error) => () => { throw error; };
  assert.deepStrictEqual(await outcomeOf(attempt, () => undefined), [0, 0, '']);
  assert.deepStrictEqual(await outcomeOf(attempt, () => ({ requeueAfterMs: 500 })), [1, 500, '']);
  assert.deepStrictEqual(await outcomeOf(attempt, failing(new Error('busy'))), [1, 40, 'busy']);
  assert.deepStrictEqual(await outcomeOf(attempt, failing(new Retry('busy', 7))), [1, 7, 'busy']);
  assert.deepStrictEqual(await outcomeOf(attempt, failing(new Dead('never'))), [2, 0, 'never']);
  console.log(`${count} vectors and ${Object.keys(rules).length} rules of a session hold`);
})();
