// A replica of a handler group (docs/wire.md §7): events in, calls out, acks back.
'use strict';

const fs = require('node:fs');
const { Link, newIdentity } = require('./link.js');

const DONE = 0, AGAIN = 1, DEAD = 2;
const ERROR_CHARS_MAX = 1000;
// client-go's rate limiter.
const RETRY_MS = 5, RETRY_MS_MAX = 1_000_000;
const KINDS = { A: 'added', U: 'updated', D: 'deleted', S: 'resync' };
const FLAGS = { 1: 'final-state-unknown', 2: 'gap', 4: 'coalesced', 8: 'initial', 16: 'out-of-scope' };
const UNITS_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Thrown by a handler: try again, after so long. */
class Retry extends Error {
  constructor(message, afterMs) {
    super(message);
    this.afterMs = afterMs;
  }
}

/** Thrown by a handler: trying again cannot help. */
class Dead extends Error {}

class Plugin {
  #links = [];
  #queue = [];
  // The calls under way, and the acks that had no session, by worker: they are held over a hello.
  #calls = new Map();
  #unsent = new Map();
  #isLeaving = false;
  #idle = null;

  /**
   * `config`: the path of the config.json that the running pipeline wrote into its runtime folder.
   * `handle(event)` may be async: what it returns is done, `{requeueAfterMs}` asks to see the key again.
   */
  constructor({ config, group, resources, handle, onGap, delivery = 'latest', workers = 4, window = 64, attemptsMax = 16, old = true }) {
    const { runtime, informers } = JSON.parse(fs.readFileSync(config, 'utf8'));
    Object.assign(this, { group, handle, onGap, workers });
    const names = informers.filter((i) => resources.includes(i.resource)).map((i) => `${i.cluster}/${i.resource}`);
    const missing = resources.filter((r) => !informers.some((i) => i.resource === r));
    if (missing.length) throw new Error(`${config}: no informer on ${missing.join(', ')}; add it to the config`);
    const body = {
      group, delivery, informers: names, resync_s: 0, window, window_bytes: 16 * 1024 * 1024,
      attempts_max: attemptsMax, old,
    };
    const identity = newIdentity(`${group}-0`);
    for (let worker = 0; worker < runtime.workers; worker += 1) {
      this.#calls.set(worker, new Set());
      this.#unsent.set(worker, []);
      this.#links.push(new Link(`ipc://${runtime.dir}/worker-${worker}`, identity, {
        heartbeatMs: milliseconds(runtime.heartbeat),
        hello: () => ({ ...body, run: runtime.run, held: this.#held(worker) }),
        on: {
          opened: () => this.#opened(worker),
          lost: (reason) => this.#lost(worker, reason),
          message: (message) => this.#message(worker, message),
        },
      }));
    }
  }

  /** Work until `leave`. */
  async run() {
    await Promise.all(this.#links.map((link) => link.run()));
  }

  /** Begin no further call, wait for those under way, give back the rest. */
  async leave() {
    this.#isLeaving = true;
    this.#queue = [];
    if (this.#underWay() > 0) await new Promise((resolve) => { this.#idle = resolve; });
    for (const link of this.#links) link.send(['bye']);
    await Promise.all(this.#links.map((link) => link.close()));
  }

  #held(worker) {
    const calls = [...this.#calls.get(worker)].map((e) => [e.informer, e.shard, e.key, e.seq, e.fence]);
    return [...calls, ...this.#unsent.get(worker).map(([informer, shard, [key, seq, fence]]) => [informer, shard, key, seq, fence])];
  }

  #opened(worker) {
    console.error(`connected to worker ${worker}`);
    const unsent = this.#unsent.get(worker).splice(0);
    for (const [informer, shard, row] of unsent) this.#links[worker].send(['acks', informer, shard, [row]]);
  }

  #lost(worker, reason) {
    console.error(`worker ${worker}: ${reason}`);
    // What has not begun comes again; calls under way go on, and the next hello names them.
    this.#queue = this.#queue.filter((event) => event.worker !== worker);
  }

  #message(worker, [kind, ...body]) {
    if (kind === 'events') {
      const [informer, shard, rows] = body;
      if (!this.#isLeaving) this.#queue.push(...rows.map((row) => event(worker, informer, shard, row)));
      this.#start();
    } else if (kind === 'gap') {
      const [informer, shard, number, reason, stream, , lostFrom, version, , attempt] = body;
      this.onGap?.({ informer, stream, reason, lostFrom, version, attempt });
      this.#links[worker].send(['gap-seen', informer, shard, number]);
    }
    // `opened`, `synced` and `proof` are for those who read the cache.
  }

  #start() {
    while (this.#queue.length && this.#underWay() < this.workers) this.#call(this.#queue.shift());
  }

  #underWay() {
    return [...this.#calls.values()].reduce((sum, calls) => sum + calls.size, 0);
  }

  async #call(event) {
    const calls = this.#calls.get(event.worker);
    calls.add(event);
    const outcome = await outcomeOf(event, this.handle);
    calls.delete(event);
    const row = [event.key, event.seq, event.fence, ...outcome];
    if (!this.#links[event.worker].send(['acks', event.informer, event.shard, [row]])) {
      this.#unsent.get(event.worker).push([event.informer, event.shard, row]);
    }
    this.#start();
    if (this.#underWay() === 0) this.#idle?.();
  }
}

/** What a handler is given. `object` and `old` are decoded when asked for. */
function event(worker, informer, shard, [seq, key, kind, uid, version, at, attempt, fence, flags, object, old]) {
  const names = Object.entries(FLAGS).filter(([bit]) => flags & bit).map(([, name]) => name);
  return {
    worker, informer, shard, seq, fence, key, uid, version, attempt, type: KINDS[kind], flags: names,
    lagMs: Date.now() - at / 1000,
    get object() { return parsed(object); },
    get old() { return parsed(old); },
  };
}

function parsed(bytes) {
  return bytes ? JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString()) : null;
}

/** [verdict, after_ms, error] of a call. */
async function outcomeOf(event, handle) {
  try {
    const wish = await handle(event);
    return wish?.requeueAfterMs === undefined ? [DONE, 0, ''] : [AGAIN, wish.requeueAfterMs, ''];
  } catch (error) {
    const text = (String(error.message ?? error) || 'failed').slice(0, ERROR_CHARS_MAX);
    if (error instanceof Dead) return [DEAD, 0, text];
    const delay = Math.min(RETRY_MS * 2 ** (event.attempt - 1), RETRY_MS_MAX);
    return [AGAIN, Math.round(error.afterMs ?? delay), text];
  }
}

/** A duration of the config: a number of seconds, or `500ms`, `2s`, `1m`. */
function milliseconds(duration) {
  if (typeof duration === 'number') return duration * 1000;
  const found = /^([\d.]+)(ms|s|m|h)?$/.exec(duration);
  if (!found) throw new Error(`not a duration: ${duration}`);
  return Number(found[1]) * UNITS_MS[found[2] ?? 's'];
}

module.exports = { Dead, Plugin, Retry, milliseconds, outcomeOf };
