// Draws a state of a page of work (replay.js) on a canvas: images, trace, clicks, icons, the pointer.

const TRAIL_MS = 4000; // of the trace that is shown behind the pointer, unless all of it is
const [GROUND, EDGE, CHOSEN, GOLD, TAKEN_BACK] = ["#23272f", "#5b6472", "#4cc38a", "#ffd24c", "#ff6b6b"];
const [MOVED, DRAGGED, ICON] = ["#5db2ff", "#ff9f43", "#1a56b0"];

/**
 * `images`: item -> a loaded image. `view`: `all`: the whole trace; `gold`: item -> boxes in ratios; `only`: the
 * page's one image, of events that name none.
 */
export function draw(canvas, state, images, view) {
  const context = canvas.getContext("2d");
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.fillStyle = GROUND;
  context.fillRect(0, 0, canvas.width, canvas.height);
  if (!state.layout) return;
  const { width, height, boxes } = state.layout;
  const scale = Math.min(canvas.width / width, canvas.height / height);
  context.setTransform(scale, 0, 0, scale, 0, 0);
  for (const [item, box] of Object.entries(boxes)) {
    if (images.has(item) && !state.missing.has(item)) context.drawImage(images.get(item), ...box);
    const chosen = state.selected.has(item);
    outline(context, box, chosen ? CHOSEN : EDGE, chosen ? 5 : 1);
    for (const gold of view.gold.get(item) ?? []) outlineGold(context, box, gold);
  }
  const place = (each) => {
    const box = boxes[each.item ?? view.only];
    return box ? [box[0] + each.x * box[2], box[1] + each.y * box[3]] : null;
  };
  drawTrail(context, state, place, view.all);
  for (const each of state.clicks) ring(context, place(each), each.on ? GOLD : TAKEN_BACK);
  for (const each of state.icons.values()) tag(context, place({ ...each, item: null }), each.label);
  if (state.pointer && !state.hidden) dot(context, state.pointer);
}

function outline(context, [left, top, width, height], color, line) {
  context.strokeStyle = color;
  context.lineWidth = line;
  context.strokeRect(left, top, width, height);
}

function outlineGold(context, [left, top, width, height], [x0, y0, x1, y1]) {
  context.setLineDash([8, 6]);
  outline(context, [left + x0 * width, top + y0 * height, (x1 - x0) * width, (y1 - y0) * height], GOLD, 2);
  context.setLineDash([]);
}

function drawTrail(context, state, place, all) {
  const now = state.last.t;
  let before = null;
  context.lineWidth = 2.5;
  context.lineCap = "round";
  for (const each of state.trail) {
    const at = each && (all || now - each.t <= TRAIL_MS) ? place(each) : null;
    if (at && before) {
      context.globalAlpha = all ? 0.75 : Math.max(0.1, 1 - (now - each.t) / TRAIL_MS);
      context.strokeStyle = each.held ? DRAGGED : MOVED;
      context.beginPath();
      context.moveTo(...before);
      context.lineTo(...at);
      context.stroke();
    }
    before = at;
  }
  context.globalAlpha = 1;
}

function ring(context, at, color) {
  if (!at) return;
  context.strokeStyle = color;
  context.lineWidth = 3;
  context.beginPath();
  context.arc(...at, 9, 0, 2 * Math.PI);
  context.stroke();
}

function tag(context, at, text) {
  if (!at) return;
  context.font = "16px system-ui, sans-serif";
  const width = context.measureText(text).width + 12;
  context.fillStyle = ICON;
  context.fillRect(at[0] - width / 2, at[1] - 13, width, 26);
  context.fillStyle = "#ffffff";
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillText(text, ...at);
}

function dot(context, { cx, cy }) {
  context.fillStyle = "#ffffff";
  context.strokeStyle = "#000000";
  context.lineWidth = 2;
  context.beginPath();
  context.arc(cx, cy, 7, 0, 2 * Math.PI);
  context.fill();
  context.stroke();
}
