// What the server has not acknowledged yet, on this computer's disk (IndexedDB). A chunk is a run of events of one
// page of work and epoch; it is deleted when all of it has been acknowledged.

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

  /** Events of a page of work that are still here: [{epoch, seq, kind, t, ...}] by epoch and number. */
  async unsent(work) {
    const range = IDBKeyRange.bound([work], [work, []]);
    const chunks = (await this.#transact("readonly", (store) => store.getAll(range))) ?? [];
    return chunks.flatMap((chunk) => chunk.events.map((event) => ({ epoch: chunk.epoch, ...event })));
  }

  /** Deletes chunks of which every event is acknowledged. */
  acknowledge(work, epoch, through) {
    const range = IDBKeyRange.bound([work, epoch], [work, epoch, []]);
    return this.#sweep(range, (chunk) => chunk.last <= through);
  }

  /** Deletes a page of work that is done. */
  forget(work) {
    return this.#sweep(IDBKeyRange.bound([work], [work, []]), () => true);
  }

  /** Pages of work other than `work` that have events here; those above 30 days old are deleted first. */
  async others(work) {
    const before = Date.now() - KEPT_DAYS * 24 * 3600 * 1000;
    await this.#sweep(null, (chunk) => chunk.at < before);
    const keys = (await this.#transact("readonly", (store) => store.getAllKeys())) ?? [];
    return [...new Set(keys.map((key) => key[0]))].filter((each) => each !== work);
  }

  #sweep(range, doomed) {
    return this.#transact("readwrite", (store) => {
      const request = store.openCursor(range);
      request.onsuccess = () => {
        const cursor = request.result;
        if (!cursor) return;
        if (doomed(cursor.value)) cursor.delete();
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
