// Where an image is on the screen, and where a point is in the image. All in CSS pixels of the viewport.

/** Content box [left, top, width, height] of what an <img> shows: without borders, padding and `object-fit`'s bars. */
export function contentBox(image) {
  const rect = image.getBoundingClientRect();
  const style = getComputedStyle(image);
  const px = (name) => Number.parseFloat(style[name]) || 0;
  const edges = ["Left", "Top", "Right", "Bottom"].map((side) => px(`border${side}Width`) + px(`padding${side}`));
  return fitted(
    inner([rect.left, rect.top, rect.width, rect.height], edges, [image.offsetWidth, image.offsetHeight]),
    [image.naturalWidth, image.naturalHeight],
    style.objectFit,
    style.objectPosition,
  );
}

/** The box within borders and padding (left, top, right, bottom, as laid out). CSS zoom and transforms scale those. */
export function inner([left, top, width, height], edges, [laidWidth, laidHeight]) {
  const [across, down] = [scaleOf(width, laidWidth), scaleOf(height, laidHeight)];
  return [
    left + edges[0] * across,
    top + edges[1] * down,
    width - (edges[0] + edges[2]) * across,
    height - (edges[1] + edges[3]) * down,
  ];
}

// `offsetWidth` is rounded to whole pixels: a difference below one says nothing.
function scaleOf(shown, laid) {
  return laid > 0 && Math.abs(shown - laid) > 1 ? shown / laid : 1;
}

/** Where the image itself is in its box, by CSS `object-fit` and `object-position` (computed values). */
export function fitted([left, top, width, height], [naturalWidth, naturalHeight], fit, position = "50% 50%") {
  if (!(naturalWidth > 0 && naturalHeight > 0) || fit === "fill" || !fit) return [left, top, width, height];
  const contain = Math.min(width / naturalWidth, height / naturalHeight);
  const scales = {
    contain,
    cover: Math.max(width / naturalWidth, height / naturalHeight),
    none: 1,
    "scale-down": Math.min(1, contain),
  };
  const scale = scales[fit] ?? contain;
  const [shownWidth, shownHeight] = [naturalWidth * scale, naturalHeight * scale];
  const [across, down] = position.split(" ");
  return [
    left + offset(across, width - shownWidth),
    top + offset(down ?? across, height - shownHeight),
    shownWidth,
    shownHeight,
  ];
}

function offset(value, room) {
  const number = Number.parseFloat(value);
  return value.endsWith("%") ? (room * number) / 100 : number;
}

/** Position of a point as ratios of a box: [x, y], 0 to 1 inside. */
export function ratios([left, top, width, height], x, y) {
  return [(x - left) / (width || 1), (y - top) / (height || 1)];
}

export function inside([x, y]) {
  return x >= 0 && x <= 1 && y >= 0 && y <= 1;
}

const TARGET = 24; // CSS pixels, what a finger hits at least (WCAG 2.5.8)

/** Whether a press at a point means a box: in it, or beside a small one. Some browsers round a click to whole pixels. */
export function hits([left, top, width, height], x, y) {
  const [across, down] = [width, height].map((side) => Math.max(1, (TARGET - side) / 2));
  return x >= left - across && x <= left + width + across && y >= top - down && y <= top + height + down;
}

export function same(a, b, tolerance = 0.05) {
  return a.every((each, index) => Math.abs(each - b[index]) <= tolerance);
}

export function rounded(value, digits) {
  const power = 10 ** digits;
  return Math.round(value * power) / power;
}
