// An image of the task. Its place is kept from its size, so that nothing moves when it comes; one that does not come
// is asked for again.

import { h } from "./dom.js";

const TRIES = [1, 3, 10, 30]; // s
const PATIENCE = 2; // tries again before a page may be submitted without the image

/** Whether an image is still to come; one that failed again and again holds nobody up. */
export const isComing = (image) => !image.naturalWidth && !image.classList.contains("is-given-up");

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
