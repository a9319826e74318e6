// One tab writes. Web Locks hold that; without a secure context tabs ask each other over a BroadcastChannel.

const ANSWER = 400; // ms that another tab has to say that it is there
const RELEASE = 3000; // ms that it has to write what it has and let go

export class WriterLock {
  /** `lost()`: another tab took over; it may return a promise, until which this tab still holds the lock. */
  constructor(annotator, lost) {
    this.name = `luab-collect-${annotator}`;
    this.lost = lost;
    this.held = false;
    this.release = () => {};
    this.channel = new BroadcastChannel(this.name);
    this.channel.onmessage = ({ data }) => this.#hear(data);
  }

  /** Whether this tab writes now. `take`: the tab that does is asked to stop, and made to if it cannot answer. */
  async acquire(take = false) {
    if (!navigator.locks) return this.#acquireByAsking(take);
    if (await this.#request({ ifAvailable: true })) return true;
    if (!take) return false;
    this.channel.postMessage("take");
    const gone = AbortSignal.timeout(RELEASE);
    if (await this.#request({ signal: gone })) return true;
    return this.#request({ steal: true });
  }

  /** This tab writes no more; another one, or this one, may begin again. */
  letGo() {
    this.held = false;
    this.release();
  }

  #request(options) {
    return new Promise((resolve) => {
      const holding = navigator.locks.request(this.name, options, (lock) => {
        resolve(lock !== null);
        if (lock === null) return undefined;
        this.held = true;
        return new Promise((release) => (this.release = release));
      });
      holding.catch(() => {
        resolve(false); // waited too long, or
        this.#lose(); // stolen while this tab could not answer
      });
    });
  }

  async #acquireByAsking(take) {
    const other = new Promise((resolve) => {
      this.answered = () => resolve(true);
      setTimeout(() => resolve(false), take ? RELEASE : ANSWER);
    });
    this.channel.postMessage(take ? "take" : "anyone");
    const there = await other;
    this.held = take || !there;
    return this.held;
  }

  #hear(message) {
    if (message === "anyone" && this.held) this.channel.postMessage("here");
    else if (message === "take" && this.held) this.#lose();
    else if (message === "here" || message === "released") this.answered?.();
  }

  async #lose() {
    if (!this.held) return;
    this.held = false;
    await this.lost();
    this.channel.postMessage("released");
    this.release();
  }
}
