// An image of the task. Its place is kept from its size, so that nothing moves when it comes; one that does not come
// is asked for again.

import { h } from "./dom.js";

const TRIES = [1, 3, 10, 30]; // s

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
  image.addEventListener("load", () => image.classList.remove("is-missing"));
  image.addEventListener("error", () => {
    image.classList.add("is-missing");
    const seconds = TRIES[Math.min(tries, TRIES.length - 1)];
    tries += 1;
    const again = () => image.isConnected && (image.src = address);
    setTimeout(again, seconds * 1000);
    window.addEventListener("online", again, { once: true });
  });
  return image;
}
