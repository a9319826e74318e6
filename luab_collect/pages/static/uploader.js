// Sends the events of one page of work, epoch by epoch in order, until the server has acknowledged all of them.
// A batch that got no answer is sent again as it was: the server may have it already.

import { Refused } from "./api.js";

const EVERY = 2000; // ms
const FULL = 48 * 1024; // bytes of JSON that are sent without waiting
const MOST = 192 * 1024; // bytes in one batch, when there is a backlog
const MOST_EVENTS = 4000;
const LAST_BIT = 60 * 1024;

/** The server will not take the events; `code` says why, `epoch` whose they are. `forever`: not later either. */
export class Stopped extends Error {
  constructor(code, epoch, reason, forever = false) {
    super(reason ?? code);
    Object.assign(this, { code, epoch, forever });
  }
}

export class Uploader {
  /** `changed()` after every step; `stopped(error)` once, when it gives up. */
  constructor({ api, connection, journal, work, changed, stopped }) {
    Object.assign(this, { api, connection, journal, work, changed, stopped });
    this.lanes = new Map();
    this.most = MOST;
    this.timer = null;
    this.running = null;
    this.failure = null;
    this.closed = false;
    this.since = 0; // when the last acknowledgement came, or the first event after it
  }

  get waiting() {
    return [...this.lanes.values()].reduce((sum, lane) => sum + lane.events.length, 0);
  }

  acked(epoch) {
    return this.lanes.get(epoch)?.acked ?? 0;
  }

  /** Where an epoch's events start: those up to `acked` are with the server. */
  lane(epoch, acked = 0) {
    if (!this.lanes.has(epoch)) this.lanes.set(epoch, { epoch, acked, events: [], bytes: 0, frozen: null });
    return this.lanes.get(epoch);
  }

  push(epoch, events) {
    const lane = this.lane(epoch);
    if (!this.waiting) this.since = performance.now();
    for (const event of events) {
      if (event.seq <= lane.acked) continue;
      const text = JSON.stringify(event);
      lane.events.push({ seq: event.seq, text });
      lane.bytes += text.length + 1;
    }
    this.changed();
    if (lane.bytes >= FULL) this.wake();
    else this.timer ??= setTimeout(() => this.wake(), EVERY);
  }

  /** Starts sending now. */
  wake() {
    clearTimeout(this.timer);
    this.timer = null;
    if (this.closed || this.failure) return;
    this.running ??= this.#run().finally(() => {
      this.running = null;
      this.changed();
    });
  }

  /** Resolves when all is acknowledged; raises Stopped. */
  async drain() {
    while (this.waiting && !this.failure && !this.closed) {
      this.wake();
      await this.running;
    }
    if (this.failure) throw this.failure;
    if (this.waiting) throw new Stopped("closed", null);
  }

  /** Sends what fits into the browser's last request, while the page goes away. `more`: events not yet on the disk. */
  lastBit(epoch, more) {
    const lane = this.lanes.get(epoch);
    if (!lane || this.closed || this.failure) return;
    const texts = [...lane.events.map((event) => event.text), ...more.map((event) => JSON.stringify(event))];
    let bytes = 64;
    const fitting = texts.findIndex((text) => (bytes += text.length * 2) > LAST_BIT);
    const first = fitting < 0 ? texts : texts.slice(0, fitting);
    if (first.length) this.api.lastBit(`work/${this.work}/events`, body(epoch, first));
  }

  /** No request after this; what was not sent stays in the journal. */
  close() {
    this.closed = true;
    clearTimeout(this.timer);
    this.connection.wake();
  }

  async #run() {
    try {
      for (let lane; !this.closed && (lane = this.#next()); ) await this.#send(lane);
    } catch (error) {
      this.failure = error instanceof Stopped ? error : new Stopped("failed", null, String(error));
      this.stopped(this.failure);
    }
  }

  #next() {
    return [...this.lanes.values()].sort((a, b) => a.epoch - b.epoch).find((lane) => lane.events.length);
  }

  async #send(lane) {
    lane.frozen ??= this.#batch(lane);
    const batch = lane.frozen;
    try {
      const answer = await this.connection.persist(() => {
        if (this.closed) return null;
        return this.api.post(`work/${this.work}/events`, batch.text, { zip: true });
      });
      if (answer) this.#acknowledge(lane, answer.acked_through);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.#refused(lane, error, batch);
    }
  }

  #batch(lane) {
    let bytes = 0;
    let count = 0;
    for (const { text } of lane.events) {
      if (count && (bytes + text.length > this.most || count >= MOST_EVENTS)) break;
      bytes += text.length + 1;
      count += 1;
    }
    return { text: body(lane.epoch, lane.events.slice(0, count).map((event) => event.text)), count };
  }

  #acknowledge(lane, through) {
    lane.frozen = null;
    lane.acked = Math.max(lane.acked, through);
    this.since = performance.now();
    lane.events = lane.events.filter((event) => event.seq > lane.acked);
    lane.bytes = lane.events.reduce((sum, event) => sum + event.text.length + 1, 0);
    this.journal.acknowledge(this.work, lane.epoch, lane.acked).catch(() => {}); // it stays, and is a repeat
    this.changed();
  }

  #refused(lane, error, { text, count }) {
    lane.frozen = null;
    if (error.code === "gap") {
      const through = error.body.acked_through;
      if (lane.events[0].seq > through + 1) throw new Stopped("gap", lane.epoch, error.message, true);
      this.#acknowledge(lane, through);
    } else if (error.status === 413 && count > 1) {
      this.most = text.length / 2; // also for all later ones
    } else {
      throw new Stopped(error.code || String(error.status), lane.epoch, error.message, !error.ofCaller);
    }
  }
}

function body(epoch, texts) {
  return `{"epoch":${epoch},"events":[${texts.join(",")}]}`;
}
