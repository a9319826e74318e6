// Elements are made here. Text goes in as text: names of classes and files come from strangers.

const PLAIN = new Set(
  "p h1 h2 h3 h4 h5 h6 ul ol li strong em code pre blockquote hr br table thead tbody tr th td".split(" "),
);

/** An element. `attributes`: on_click etc. are listeners, `vars` CSS properties, false and null are left out. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on_")) element.addEventListener(name.slice(3), value);
    else if (name === "vars") setVars(element, value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** CSS custom properties, set through the object model: style attributes are refused by the content policy. */
export function setVars(element, values) {
  for (const [name, value] of Object.entries(values)) element.style.setProperty(name, String(value));
}

/** Shows `element` as the page. Focus goes to what asks for it (`data-focus`), so that it is read aloud. */
export function show(element) {
  document.getElementById("app").replaceChildren(element);
  window.scrollTo(0, 0);
  const first = element.querySelector("[data-focus]");
  if (first) first.focus({ preventScroll: true });
}

/** Says something to screen readers without moving the focus. */
export function announce(text) {
  const region = document.getElementById("polite");
  region.textContent = "";
  requestAnimationFrame(() => (region.textContent = text));
}

/** The address if it is a web address, else null. */
export function webAddress(text) {
  try {
    const url = new URL(text, location.href);
    return ["http:", "https:"].includes(url.protocol) ? url.href : null;
  } catch {
    return null;
  }
}

export function outsideLink(address, text) {
  const href = webAddress(address);
  if (!href) return h("span", {}, text);
  return h("a", { href, target: "_blank", rel: "noopener noreferrer" }, text);
}

/** Nodes of the server's own rendered Markdown. Only plain elements and web links are copied, no attributes. */
export function fromMarkdown(html) {
  const parsed = new DOMParser().parseFromString(html, "text/html");
  return [...parsed.body.childNodes].flatMap(copied);
}

function copied(node) {
  if (node.nodeType === Node.TEXT_NODE) return [document.createTextNode(node.data)];
  if (node.nodeType !== Node.ELEMENT_NODE) return [];
  const tag = node.localName;
  if (["script", "style", "template", "iframe", "object", "svg", "math"].includes(tag)) return [];
  const children = [...node.childNodes].flatMap(copied);
  if (tag === "a") {
    const link = outsideLink(node.getAttribute("href") ?? "", "");
    link.append(...children);
    return [link];
  }
  if (tag === "img") return [document.createTextNode(node.getAttribute("alt") ?? "")];
  if (!PLAIN.has(tag)) return children;
  const element = h(tag === "h1" ? "h2" : tag); // the page has a first heading of its own
  element.append(...children);
  return [element];
}
