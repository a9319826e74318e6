// One page of work: its epoch, what it looked like, its events, its submission.

import { Refused } from "./api.js";
import { banner, unbanner } from "./banner.js";
import { announce, show } from "./dom.js";
import { Frame } from "./frame.js";
import { EventLog } from "./log.js";
import { byKeyboard, pointerOf } from "./pointers.js";
import { restored, unansweredSubmit } from "./restore.js";
import { t } from "./strings.js";
import { submitPage } from "./submission.js";
import { Stopped, Uploader } from "./uploader.js";

const SLOW = 6000; // ms; what is on this computer's disk is said to be saved, unless sending it takes longer

/** Shows a page of work until it is submitted ("submitted"), has to be asked for again ("again") or is another tab's. */
export class Work {
  constructor({ api, connection, journal, project, assignment, page }) {
    Object.assign(this, { api, connection, journal, project, assignment, page });
    this.stop = new AbortController();
    this.ended = new Promise((end) => (this.end = end));
    this.uploader = new Uploader({
      api,
      connection,
      journal,
      work: page.work,
      changed: () => this.#say(),
      stopped: (error) => this.#stopped(error),
    });
  }

  /** Resolves to "submitted", "again" or "closed". `resubmit`: go on with a submission that had no answer. */
  async run(resubmit = true) {
    const taken = await this.#takeOver();
    if (this.stop.signal.aborted) return "closed";
    if (!taken) return "submitted";
    const { epoch, events } = taken;
    const submit = resubmit ? unansweredSubmit(events) : null;
    if (submit) return this.#finish(submit.epoch, submit.seq);
    this.log = new EventLog({
      work: this.page.work,
      epoch,
      journal: this.journal,
      stored: (stored) => this.uploader.push(epoch, stored),
      trouble: () => this.#unstored(),
    });
    this.uploader.lane(epoch);
    this.frame = new Frame({
      project: this.project,
      page: this.page,
      log: this.log,
      state: restored(events),
      progress: t("progress", { number: this.assignment.done + 1, of: this.assignment.pages }),
      submit: (event) => this.#submit(event),
    });
    show(this.frame.element);
    await visible(this.stop.signal);
    await this.log.start();
    if (this.stop.signal.aborted) return "closed";
    this.frame.task.start();
    this.#watch();
    this.#say();
    const result = await this.ended;
    this.close();
    return result;
  }

  // {epoch, events}: what the page shows is drawn from these. Before, another device could still have changed it; now its
  // changes are refused. null: it has submitted the page, or this tab was closed, whose epoch would end the other tab's.
  async #takeOver() {
    const { signal } = this.stop;
    const post = () => this.api.post(`work/${this.page.work}/epochs`, {}, { signal });
    try {
      return await this.connection.persist(() => (signal.aborted ? null : post()));
    } catch (error) {
      if (signal.aborted || (error instanceof Refused && error.code === "submitted")) return null;
      throw error;
    }
  }

  /** Stops writing, and keeps what there is; for another tab that takes over. */
  async close() {
    this.stop.abort();
    this.frame?.task.close();
    await this.log?.close();
    this.uploader.close();
    unbanner("banner.unstored");
    this.end("closed");
  }

  // Told once: what is closed stays closed.
  #unstored() {
    if (!this.told) banner("banner.unstored");
    this.told = true;
  }

  #watch() {
    const options = { signal: this.stop.signal };
    document.addEventListener(
      "visibilitychange",
      () => {
        this.log.add(document.hidden ? "hidden" : "visible");
        if (document.hidden) this.uploader.wake();
      },
      options,
    );
    window.addEventListener("pagehide", () => this.uploader.lastBit(this.log.epoch, this.log.buffer), options);
    const network = (state) => this.log.add(state === "good" ? "online" : "offline");
    let before = "good";
    const listener = (state) => {
      if ((state === "offline") !== (before === "offline")) network(state === "offline" ? state : "good");
      before = state;
      this.#say();
    };
    this.connection.listeners.add(listener);
    this.stop.signal.addEventListener("abort", () => this.connection.listeners.delete(listener));
  }

  async #submit(event) {
    const missing = this.frame.task.missing() ?? this.frame.task.waiting();
    if (missing) {
      this.frame.explain(missing);
      announce(missing);
      return;
    }
    if (this.frame.sending) return;
    this.frame.freeze();
    await this.frame.task.settle(event);
    const pointer = byKeyboard(event) ? "keyboard" : pointerOf(event);
    await this.log.end("submit", { pointer, trusted: event.isTrusted }, event.timeStamp);
    this.frame.task.close();
    this.end(await this.#finish(this.log.epoch, this.log.seq));
  }

  async #finish(epoch, seq) {
    try {
      await this.uploader.drain();
      await submitPage(this, this.page.work, epoch, seq);
      return "submitted";
    } catch (error) {
      if (error instanceof Stopped) return this.#reopen(error.code, error.message);
      return this.#reopen(error.code ?? "failed", error.message);
    }
  }

  // The server knows better: it says what the page is now.
  #reopen(code, reason) {
    if (code === "session" || code === "withdrawn" || code === "superseded") return code;
    if (code === "submitted") return "submitted";
    console.warn(`page ${this.page.work}: ${code}: ${reason}`);
    if (code === "unfinished") banner("banner.unfinished", { reason });
    return code === "unfinished" ? "unfinished" : "again";
  }

  #stopped(error) {
    if (this.frame?.sending || !this.frame) return; // `drain` says it
    this.end(this.#reopen(error.code, error.message));
  }

  #say() {
    if (!this.frame) return;
    const good = this.connection.state === "good";
    const slow = this.uploader.waiting && performance.now() - this.uploader.since > SLOW;
    this.frame.saying(t(good ? (slow ? "saved.sending" : "saved.all") : "saved.here"), good && !slow);
  }
}

function visible(signal) {
  if (!document.hidden) return Promise.resolve();
  return new Promise((resolve) => {
    document.addEventListener("visibilitychange", () => !document.hidden && resolve(), { signal });
  });
}
