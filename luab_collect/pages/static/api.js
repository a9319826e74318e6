// Requests to the server. `Refused` is an answer that says no; anything else that fails is the network's.

const BASE = new URL("../api/", import.meta.url);
const TIMEOUT = 30_000; // ms without an answer
const KEPT = "luab-collect-session"; // in sessionStorage: a reload goes on, another tab enters by itself

/** The server's answer with an error: `status`, `code` (its `error`) and what else it said. */
export class Refused extends Error {
  constructor(status, body) {
    super(body.reason ?? body.error ?? `status ${status}`);
    this.status = status;
    this.code = body.error ?? "";
    this.body = body;
  }

  /** Whether the same request can be taken later. */
  get passing() {
    return this.status >= 500 || this.status === 429 || this.status === 408;
  }

  /** Whether who asks is at fault, not what is sent: another annotator's page, a session's end. */
  get ofCaller() {
    return [401, 403, 404].includes(this.status);
  }
}

export class Api {
  constructor() {
    this.entry = entryOf(location);
    this.session = null;
    this.entering = null;
  }

  get enterable() {
    return this.entry !== null;
  }

  /** Whether the address is meanwhile somebody else's. */
  get moved() {
    const now = entryOf(location);
    return now !== null && JSON.stringify(now) !== JSON.stringify(this.entry);
  }

  /** Starts or goes on with a session; answers {session, annotator, resumed}. */
  async enter(fresh = false) {
    const key = JSON.stringify(this.entry);
    const kept = fresh ? null : keptSession(key);
    const entered = kept ?? (await this.#send("POST", "enter", this.entry));
    this.session = entered.session;
    keepSession(key, entered);
    return entered;
  }

  get(path) {
    return this.#request("GET", path);
  }

  post(path, body = {}, options = {}) {
    return this.#request("POST", path, body, options);
  }

  /** The last bit, while the page goes away: not waited for, at most 64 KiB in all. */
  lastBit(path, text) {
    this.#fetch("POST", path, text, { keepalive: true }).catch(() => {}); // the journal still has it
  }

  async #request(method, path, body, options) {
    try {
      return await this.#send(method, path, body, options);
    } catch (error) {
      if (!(error instanceof Refused && error.status === 401 && this.enterable)) throw error;
      this.entering ??= this.enter(true).finally(() => (this.entering = null));
      await this.entering;
      return this.#send(method, path, body, options);
    }
  }

  async #send(method, path, body, options = {}) {
    const text = body === undefined || typeof body === "string" ? body : JSON.stringify(body);
    const response = await this.#fetch(method, path, text, options);
    const answer = await response.json().catch(() => ({}));
    if (!response.ok) throw new Refused(response.status, answer);
    return answer;
  }

  async #fetch(method, path, text, { keepalive = false, zip = false, signal: ended } = {}) {
    const headers = {};
    if (this.session && path !== "enter") headers.Authorization = `Bearer ${this.session}`;
    if (text !== undefined) headers["Content-Type"] = "application/json";
    let body = text;
    if (zip && text.length > 1024 && "CompressionStream" in globalThis) {
      body = await zipped(text);
      headers["Content-Encoding"] = "gzip";
    }
    const signal = keepalive ? undefined : until(ended);
    return fetch(new URL(path, BASE), { method, headers, body, keepalive, signal, cache: "no-store" });
  }
}

// Older browsers lack `any`: there a request that nobody waits for any more arrives all the same.
function until(ended) {
  const late = AbortSignal.timeout(TIMEOUT);
  return ended && AbortSignal.any ? AbortSignal.any([late, ended]) : late;
}

function zipped(text) {
  return new Response(new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"))).arrayBuffer();
}

/** What the address says about who comes: a personal link, a platform's parameters, or nothing (null). */
export function entryOf({ hash, search }) {
  const link = new URLSearchParams(hash.slice(1)).get("t");
  if (link) return { platform: "link", token: link };
  const parameters = Object.fromEntries(new URLSearchParams(search));
  if (parameters.token) return { platform: "prolific", token: parameters.token };
  if (parameters.PROLIFIC_PID) return { platform: "prolific", parameters };
  return Object.keys(parameters).length ? { platform: "url", parameters } : null;
}

function keptSession(key) {
  try {
    const kept = JSON.parse(sessionStorage.getItem(KEPT));
    return kept?.key === key ? { ...kept.entered, resumed: true } : null;
  } catch {
    return null;
  }
}

function keepSession(key, entered) {
  try {
    sessionStorage.setItem(KEPT, JSON.stringify({ key, entered }));
  } catch {
    // without storage a reload enters again with the link
  }
}
