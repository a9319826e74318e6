// Where the images are on the screen. Measured at each event; a change is an event of its own, so that every ratio
// can be computed again from `cx`, `cy` and the box.

import { contentBox, ratios, rounded, same } from "./geometry.js";

const QUIET = 100; // ms after the last sign of a change

export class Layouts {
  /** `images`: item -> <img>. `scroller`: the element that scrolls. */
  constructor(log, images, scroller) {
    Object.assign(this, { log, images, scroller });
    this.number = 0;
    this.boxes = new Map();
    this.view = null;
    this.timer = null;
    this.stop = new AbortController();
  }

  /** The first layout, and watching for changes from now on. */
  start() {
    this.#emit();
    const options = { signal: this.stop.signal, passive: true, capture: true };
    const changed = () => {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.check(), QUIET);
    };
    window.addEventListener("resize", changed, options);
    window.addEventListener("scroll", changed, options);
    window.visualViewport?.addEventListener("resize", changed, options);
    window.visualViewport?.addEventListener("scroll", changed, options);
    this.observer = new ResizeObserver(changed);
    for (const image of this.images.values()) this.observer.observe(image);
    this.#watchRatio(changed);
  }

  close() {
    this.stop.abort();
    this.observer?.disconnect();
    clearTimeout(this.timer);
  }

  /** Content box of the item's image now, with the number of the layout that has it; `when` as performance.now(). */
  at(item, when) {
    const box = contentBox(this.images.get(item));
    const known = this.boxes.get(item);
    if (!known || !same(known, box) || this.view.ratio !== window.devicePixelRatio) this.#emit(item, when);
    return { box, layout: this.number };
  }

  /** An event's fields for a position in the viewport: ratios of the item's image, pixels, layout. */
  position(item, x, y, when) {
    const { box, layout } = this.at(item, when);
    const [across, down] = ratios(box, x, y);
    return { x: limited(across), y: limited(down), cx: rounded(x, 2), cy: rounded(y, 2), layout };
  }

  /** The same for a position that is known as ratios of the image. */
  placed(item, x, y, when) {
    const { box, layout } = this.at(item, when);
    const [cx, cy] = [box[0] + x * box[2], box[1] + y * box[3]];
    return { x: limited(x), y: limited(y), cx: rounded(cx, 2), cy: rounded(cy, 2), layout };
  }

  /** A layout event, if anything moved. */
  check() {
    const view = this.#viewport();
    const moved = Object.keys(view).some((name) => view[name] !== this.view[name]);
    const shifted = () =>
      [...this.images].some(([item, image]) => {
        const known = this.boxes.get(item);
        return known && !same(known, contentBox(image));
      });
    if (moved || shifted()) this.#emit();
  }

  #emit(must, when) {
    this.number += 1;
    this.view = this.#viewport();
    this.boxes = new Map();
    for (const [item, image] of this.images) {
      const box = contentBox(image);
      if (item === must || this.images.size === 1 || visible(box)) this.boxes.set(item, box);
    }
    const boxes = Object.fromEntries([...this.boxes].map(([item, box]) => [item, box.map((each) => rounded(each, 2))]));
    this.log.add("layout", { layout: this.number, ...this.view, boxes }, when);
  }

  #viewport() {
    return {
      width: window.innerWidth,
      height: window.innerHeight,
      ratio: window.devicePixelRatio,
      zoom: rounded(window.visualViewport?.scale ?? 1, 4),
      left: rounded(window.scrollX + this.scroller.scrollLeft, 2),
      top: rounded(window.scrollY + this.scroller.scrollTop, 2),
    };
  }

  #watchRatio(changed) {
    const query = window.matchMedia(`(resolution: ${window.devicePixelRatio}dppx)`);
    const again = () => {
      changed();
      this.#watchRatio(changed);
    };
    query.addEventListener("change", again, { once: true, signal: this.stop.signal });
  }
}

function visible([left, top, width, height]) {
  return left < window.innerWidth && top < window.innerHeight && left + width > 0 && top + height > 0;
}

// A drag far outside of a small image: the server takes -100 to 101.
function limited(ratio) {
  return rounded(Math.min(101, Math.max(-100, ratio)), 5);
}
