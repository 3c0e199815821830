// One connection to one informer worker: a socket around a session, and a second one for beats.
'use strict';

const crypto = require('node:crypto');
const fs = require('node:fs');
const { Dealer } = require('zeromq');
const { ProtocolError, Session, pack, unpack } = require('./session.js');

const TICK_MS = 250;
const SILENT_INTERVALS_MAX = 3;

/** What the other end knows this process by: a nonce for each start, and what shows on the same host that it is gone. */
function newIdentity(name) {
  const identity = { name, nonce: crypto.randomBytes(4).toString('hex'), pid: process.pid, started: 0, host: '' };
  try {
    const stat = fs.readFileSync('/proc/self/stat', 'latin1');
    // The command's name, in parentheses, may hold blanks; field 22 counts from after it.
    identity.started = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]);
    const boot = fs.readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
    identity.host = `${boot}/${fs.readlinkSync('/proc/self/ns/pid')}`;
  } catch {
    // Without /proc nobody sees a death at once; silence shows it.
  }
  return identity;
}

class Link {
  #socket;
  #beats;
  #session = new Session();
  #heardAt = performance.now();
  #waiting = [];
  #sending = Promise.resolve();
  #isClosed = false;

  /** `hello()` gives the role's own part of each hello; `on.opened()`, `on.lost(reason)`, `on.message(message)`. */
  constructor(endpoint, identity, { heartbeatMs, hello, on }) {
    this.endpoint = endpoint;
    this.identity = identity;
    this.heartbeatMs = heartbeatMs;
    this.hello = hello;
    this.on = on;
    const id = `${identity.name}.${identity.nonce}`;
    this.#socket = new Dealer({ routingId: id, linger: 0, immediate: true });
    this.#beats = new Dealer({ routingId: `${id}~`, linger: 0, sendHighWaterMark: 2 });
    this.#socket.connect(endpoint);
    this.#beats.connect(endpoint);
  }

  get isOpen() {
    return this.#session.isOpen;
  }

  /** Read until `close`. */
  async run() {
    const ticking = setInterval(() => this.#tick(), TICK_MS);
    const beating = setInterval(() => this.#beat(), this.heartbeatMs);
    this.#tick();
    try {
      for await (const [data] of this.#socket) this.#take(data);
    } catch (error) {
      if (!this.#isClosed) throw error;
    } finally {
      clearInterval(ticking);
      clearInterval(beating);
    }
  }

  /** Send with whatever else this turn of the event loop sends. False without a session: nothing is kept. */
  send(message) {
    if (!this.isOpen) return false;
    if (this.#waiting.push(message) === 1) setImmediate(() => this.flush());
    return true;
  }

  flush() {
    const messages = this.#waiting;
    this.#waiting = [];
    if (messages.length && this.isOpen) this.#transmit(this.#session.frame(...messages));
  }

  /** Wait until what was sent is with the socket, then end. */
  async close() {
    this.flush();
    this.#isClosed = true;
    await this.#sending;
    this.#socket.linger = 1000;
    this.#socket.close();
    this.#beats.close();
  }

  #take(data) {
    let frame;
    try {
      frame = unpack(data);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      console.error(`${this.endpoint}: ${error.message}: ignored`);
      return;
    }
    this.#act(this.#session.take(frame, performance.now()));
  }

  #act({ verdict, messages, reason }) {
    if (verdict === 'ignore') return;
    this.#heardAt = performance.now();
    if (verdict === 'take') {
      for (const message of messages) this.on.message(message);
    } else if (verdict === 'opened') {
      this.#waiting = [];
      this.on.opened();
    } else if (verdict !== 'beat') {
      // All that is held of the session is dropped before the next hello.
      this.#waiting = [];
      this.on.lost(reason);
      this.#tick();
    }
  }

  #tick() {
    if (this.#isClosed) return;
    const now = performance.now();
    if (this.isOpen && now - this.#heardAt > SILENT_INTERVALS_MAX * this.heartbeatMs) {
      this.#act(this.#session.giveUp('nothing heard'));
    } else if (this.#session.isHelloDue(now)) {
      const { name, nonce, pid, started, host } = this.identity;
      this.#transmit(this.#session.hello(now, 'handler', name, nonce, pid, started, host, this.hello()));
    }
  }

  #beat() {
    // A beat that has no room is none: the next one tells the same. Its socket may still be busy with the last.
    if (this.isOpen && this.#beats.writable) {
      this.#beats.send(pack(this.#session.number, 0, ['beat', Math.floor(performance.now())])).catch(() => {});
    }
  }

  /** One send at a time, in order. */
  #transmit(data) {
    this.#sending = this.#sending.then(() => this.#socket.send(data)).catch((error) => {
      if (!this.#isClosed) throw error;
    });
  }
}

module.exports = { Link, newIdentity };
