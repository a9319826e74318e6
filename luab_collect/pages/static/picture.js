// An image of the task. Its place is kept from its size, so that nothing moves when it comes; one that does not come
// is asked for again.

import { h } from "./dom.js";

const TRIES = [1, 3, 10, 30]; // s
const PATIENCE = 2; // tries again before a page may be submitted without the image

export const hasCome = (image) => image.complete && image.naturalWidth > 0;

const isGivenUp = (image) => !image.naturalWidth && image.classList.contains("is-given-up");

/** Whether an image is still to come; one that failed again and again holds nobody up. */
export const isComing = (image) => !image.naturalWidth && !isGivenUp(image);

/** Records of each image that it came, or that it was given up: what was not seen is no answer. */
export class Arrivals {
  /** `images`: item -> what `picture` made. */
  constructor(log, images) {
    Object.assign(this, { log, images });
    this.told = new Map();
    this.stop = new AbortController();
  }

  start() {
    for (const [item, image] of this.images) {
      const look = () => this.#look(item, image);
      for (const kind of ["load", "error"]) image.addEventListener(kind, look, { signal: this.stop.signal });
      look();
    }
  }

  close() {
    this.stop.abort();
  }

  #look(item, image) {
    const now = hasCome(image) ? "loaded" : isGivenUp(image) ? "missing" : null;
    const before = this.told.get(item);
    if (!now || now === before || before === "loaded") return;
    this.told.set(item, now);
    this.log.add(now, { item });
  }
}

export function picture(item, alt) {
  const address = new URL(item.url, new URL("../", import.meta.url)).href;
  const image = h("img", {
    class: "picture",
    src: address,
    alt,
    width: item.width,
    height: item.height,
    draggable: "false",
    decoding: "async",
  });
  let tries = 0;
  image.addEventListener("load", () => image.classList.remove("is-missing", "is-given-up"));
  image.addEventListener("error", () => {
    image.classList.add("is-missing");
    if (tries >= PATIENCE) image.classList.add("is-given-up");
    const seconds = TRIES[Math.min(tries, TRIES.length - 1)];
    tries += 1;
    const again = () => image.isConnected && (image.src = address);
    setTimeout(again, seconds * 1000);
    window.addEventListener("online", again, { once: true });
  });
  return image;
}
