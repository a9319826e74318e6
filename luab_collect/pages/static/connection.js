// Whether the server can be reached, and trying again until it can.

import { Refused } from "./api.js";

const PAUSES = [1, 2, 4, 8, 15]; // s; then the last one

/** Whether trying again later can help. */
export function passing(error) {
  if (error instanceof Refused) return error.passing;
  return error instanceof TypeError || error.name === "TimeoutError" || error.name === "AbortError";
}

export class Connection {
  /** `changed(state)`: "good", "offline" (no answer) or "full" (the server has no room). */
  constructor(changed = () => {}) {
    this.state = "good";
    this.listeners = new Set([changed]);
    this.wakers = new Set();
    window.addEventListener("online", () => (this.wakers.size ? this.wake() : this.#become("good")));
    window.addEventListener("offline", () => this.#become("offline"));
  }

  /** The task's result; it is tried again while it fails in passing. Other failures are thrown. */
  async persist(task) {
    for (let attempt = 0; ; attempt += 1) {
      try {
        const result = await task();
        this.#become("good");
        return result;
      } catch (error) {
        if (!passing(error)) throw error;
        this.#become(error.status === 507 ? "full" : "offline");
        await this.#pause(attempt);
      }
    }
  }

  /** Ends all pauses. */
  wake() {
    for (const waker of [...this.wakers]) waker();
  }

  #pause(attempt) {
    const seconds = PAUSES[Math.min(attempt, PAUSES.length - 1)] * (0.75 + Math.random() / 2);
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.wakers.delete(done);
        resolve();
      };
      const timer = setTimeout(done, seconds * 1000);
      this.wakers.add(done);
    });
  }

  #become(state) {
    if (state === this.state) return;
    this.state = state;
    for (const listener of this.listeners) listener(state);
  }
}
