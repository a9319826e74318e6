// The events of one page of work in one epoch: numbered, timed, written to the journal, then handed to the uploader.

import { rounded } from "./geometry.js";

/** Kinds whose loss a reload would show. As in events.py: all but the samples of a path. */
export const DURABLE = (kind) => kind !== "move" && kind !== "drag";
// What an annotator did: on the disk before its effect shows, so at once. The rest of the durable ones shows nothing.
const AT_ONCE = new Set(
  "open select deselect pick add relocate remove cancel category submit hidden".split(" "),
);
const GATHER = 250; // ms that other events wait for company

export class EventLog {
  /** `stored(events)` gets what is on the disk, in order; `trouble(error)` is told when the disk takes nothing. */
  constructor({ work, epoch, journal, stored, trouble }) {
    Object.assign(this, { work, epoch, journal, stored, trouble });
    this.seq = 0;
    this.last = 0;
    this.origin = null;
    this.buffer = [];
    this.written = Promise.resolve();
    this.timer = null;
    this.closed = false;
  }

  /** The first visible moment: all times count from here. */
  start() {
    this.origin = performance.now();
    return this.add("open", { wall: Date.now() }, this.origin);
  }

  /** Adds an event that happened at `at` (as `performance.now()`). Resolves when it is on the disk. */
  add(kind, fields = {}, at = performance.now()) {
    if (this.closed || this.origin === null) return Promise.resolve();
    // A coalesced sample can be older than the event before it: time never goes back.
    this.last = Math.max(this.last, rounded(at - this.origin, 1));
    this.seq += 1;
    this.buffer.push({ seq: this.seq, kind, t: this.last, ...fields });
    if (AT_ONCE.has(kind)) return this.flush();
    this.timer ??= setTimeout(() => this.flush(), GATHER);
    return this.written;
  }

  /** Writes what is waiting; resolves when all events so far are on the disk. */
  flush() {
    clearTimeout(this.timer);
    this.timer = null;
    if (!this.buffer.length) return this.written;
    const events = this.buffer;
    this.buffer = [];
    const strict = events.some((event) => DURABLE(event.kind));
    const write = this.journal.append(this.work, this.epoch, events, strict).catch(this.trouble);
    this.written = Promise.all([this.written, write]).then(() => this.stored(events));
    return this.written;
  }

  /** Adds the last event: none after it, whatever the pointer does while it is written. */
  end(kind, fields, at) {
    const written = this.add(kind, fields, at);
    this.closed = true;
    return written;
  }

  /** No further event; resolves when all are on the disk. */
  close() {
    this.closed = true;
    return this.flush();
  }
}

/** For practice: everything works, nothing is kept. */
export class NoLog {
  add() {
    return Promise.resolve();
  }

  flush() {
    return Promise.resolve();
  }
}
