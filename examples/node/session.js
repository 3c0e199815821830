// The rules of docs/wire.md §2 and §3 for the end that connects: frames and one session. No socket, no clock.
'use strict';

const { decode, encode } = require('@msgpack/msgpack');

const VERSION = 2;
const HELLO_EVERY_MS = 2000;
const REFUSED_FOR_MS = 5000;
const FRAME_BYTES_MAX = 16 * 1024 * 1024 + 64 * 1024;

class ProtocolError extends Error {}

/** A frame's bytes. `messages`: arrays that begin with their kind. */
function pack(session, n, ...messages) {
  return encode([VERSION, session, n, messages]);
}

/** `{session, n, messages}` of a frame's bytes. Throws ProtocolError for what is none. */
function unpack(data) {
  if (data.length > FRAME_BYTES_MAX) throw new ProtocolError(`a frame of ${data.length} bytes`);
  let frame;
  try {
    frame = decode(data);
  } catch (error) {
    throw new ProtocolError(`not msgpack: ${error.message}`);
  }
  if (!Array.isArray(frame) || frame.length !== 4) throw new ProtocolError('not a frame');
  const [version, session, n, messages] = frame;
  if (version !== VERSION) throw new ProtocolError(`version ${version} of the wire; this speaks ${VERSION}`);
  if (!Number.isSafeInteger(session) || !Number.isSafeInteger(n)) throw new ProtocolError('not a frame');
  const isMessage = (m) => Array.isArray(m) && typeof m[0] === 'string';
  if (!Array.isArray(messages) || !messages.length || !messages.every(isMessage)) {
    throw new ProtocolError('a frame without messages');
  }
  if (n === 0 && messages.length !== 1) throw new ProtocolError('what is not counted travels alone');
  return { session, n, messages };
}

/** One session at a time. It has none until a welcome came, and loses it on any doubt. Times are monotonic ms. */
class Session {
  number = 0;
  #sent = 0;
  #received = 0;
  #saidHelloAt = null;
  #quietUntil = 0;

  get isOpen() {
    return this.number !== 0;
  }

  isHelloDue(now) {
    if (this.isOpen || now < this.#quietUntil) return false;
    return this.#saidHelloAt === null || now >= this.#saidHelloAt + HELLO_EVERY_MS;
  }

  /** The bytes of a hello, which ends whatever session there was. */
  hello(now, ...fields) {
    this.number = 0;
    this.#saidHelloAt = now;
    return pack(0, 0, ['hello', ...fields]);
  }

  /** The bytes of the session's next counted frame. */
  frame(...messages) {
    this.#sent += 1;
    return pack(this.number, this.#sent, ...messages);
  }

  /** What a frame means: `opened`, `take`, `beat`, `ignore`; or `lost` and `refused`, which end the session. */
  take({ session, n, messages }, now) {
    const [kind, reason] = n === 0 ? messages[0] : [''];
    if (kind === 'welcome') {
      if (this.isOpen) return this.#end('lost', 'a second welcome');
      if (this.#saidHelloAt === null) return { verdict: 'ignore' };
      this.number = session;
      this.#sent = this.#received = 0;
      return { verdict: 'opened' };
    }
    if (kind === 'refuse') {
      this.#quietUntil = now + REFUSED_FOR_MS;
      return this.#end('refused', reason ?? 'no reason given');
    }
    if (!this.isOpen || session !== this.number) return { verdict: 'ignore' };
    if (kind === 'beat') return { verdict: 'beat' };
    if (kind === '' && n === this.#received + 1) {
      this.#received = n;
      return { verdict: 'take', messages };
    }
    return this.#end('lost', kind === 'reset' ? 'reset' : 'a gap between frames');
  }

  /** The other end was silent for too long. */
  giveUp(reason) {
    return this.#end('lost', reason);
  }

  #end(verdict, reason) {
    this.number = 0;
    this.#saidHelloAt = null;
    return { verdict, reason };
  }
}

module.exports = { ProtocolError, Session, pack, unpack };
