// What the server has not acknowledged yet, on this computer's disk (IndexedDB). A chunk is a run of events of one
// page of work and epoch; it is deleted when all of it has been acknowledged, one that ends with `submit` when the page's
// submission was answered. What the server refused for good is kept for thirty days, and not sent again.

const DATABASE = "luab-collect";
const STORE = "chunks";
const KEPT_DAYS = 30; // what no server takes any more

export class Journal {
  /** Opens it, or one that only says `stored: false` where the browser has no room or no IndexedDB. */
  static async open() {
    try {
      return new Journal(await database());
    } catch (error) {
      console.warn("events are kept in this tab only:", error);
      return new Journal(null);
    }
  }

  constructor(opened) {
    this.database = opened;
    if (opened) opened.onversionchange = () => opened.close();
  }

  /** Writes a run of events. `strict`: resolves when they are on the disk, not just handed to it. */
  append(work, epoch, events, strict) {
    const chunk = { work, epoch, first: events[0].seq, last: events.at(-1).seq, at: Date.now(), events };
    return this.#transact("readwrite", (store) => store.put(chunk), strict ? "strict" : "relaxed");
  }

  /** Events of a page of work that can still be sent: [{epoch, seq, kind, t, ...}] by epoch and number. */
  async unsent(work) {
    const range = IDBKeyRange.bound([work], [work, []]);
    const all = (await this.#transact("readonly", (store) => store.getAll(range))) ?? [];
    const chunks = all.filter((chunk) => !chunk.refused);
    return chunks.flatMap((chunk) => chunk.events.map((event) => ({ epoch: chunk.epoch, ...event })));
  }

  /** Deletes chunks of which every event is acknowledged, but the page's end: see `forget`. */
  acknowledge(work, epoch, through) {
    const range = IDBKeyRange.bound([work, epoch], [work, epoch, []]);
    return this.#sweep(range, (chunk) => chunk.last <= through && chunk.events.at(-1).kind !== "submit");
  }

  /** Notes that the server will never take what is here of an epoch. */
  settle(work, epoch) {
    const range = IDBKeyRange.bound([work, epoch], [work, epoch, []]);
    return this.#each(range, (cursor) => cursor.update({ ...cursor.value, refused: true }));
  }

  /** Deletes a page of work that is done, but what was refused of it. */
  forget(work) {
    return this.#sweep(IDBKeyRange.bound([work], [work, []]), (chunk) => !chunk.refused);
  }

  /** Pages of work that have events to send here; those above 30 days old are deleted first. */
  async works() {
    const before = Date.now() - KEPT_DAYS * 24 * 3600 * 1000;
    await this.#sweep(null, (chunk) => chunk.at < before);
    const found = new Set();
    await this.#each(null, (cursor) => !cursor.value.refused && found.add(cursor.value.work), "readonly");
    return [...found];
  }

  #sweep(range, doomed) {
    return this.#each(range, (cursor) => doomed(cursor.value) && cursor.delete());
  }

  #each(range, visit, mode = "readwrite") {
    return this.#transact(mode, (store) => {
      const request = store.openCursor(range);
      request.onsuccess = () => {
        const cursor = request.result;
        if (!cursor) return;
        visit(cursor);
        cursor.continue();
      };
      return request;
    });
  }

  #transact(mode, work, durability = "relaxed") {
    if (!this.database) return Promise.reject(new Error("this browser stores nothing"));
    return new Promise((resolve, reject) => {
      const transaction = this.database.transaction(STORE, mode, { durability });
      const request = work(transaction.objectStore(STORE));
      transaction.oncomplete = () => resolve(request.result);
      transaction.onabort = () => reject(transaction.error ?? new Error("the browser's storage gave up"));
    });
  }
}

function database() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(DATABASE, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: ["work", "epoch", "first"] });
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
    request.onblocked = () => reject(new Error("another tab holds the storage"));
  });
}
