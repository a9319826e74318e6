// Which tile an arrow key leads to, in rows of different lengths. Pure.

/** Index of the tile to go to from `index`; `boxes`: [left, top, width, height] of each tile; null: stay. */
export function neighbor(boxes, index, key, rightToLeft = false) {
  if (key === "Home") return 0;
  if (key === "End") return boxes.length - 1;
  const forward = rightToLeft ? "ArrowLeft" : "ArrowRight";
  const back = rightToLeft ? "ArrowRight" : "ArrowLeft";
  if (key === forward) return index + 1 < boxes.length ? index + 1 : null;
  if (key === back) return index > 0 ? index - 1 : null;
  if (key !== "ArrowDown" && key !== "ArrowUp") return null;
  const row = nextRow(boxes, index, key === "ArrowDown" ? 1 : -1);
  if (!row.length) return null;
  const center = ([left, , width]) => left + width / 2;
  const here = center(boxes[index]);
  return row.reduce((best, each) =>
    Math.abs(center(boxes[each]) - here) < Math.abs(center(boxes[best]) - here) ? each : best,
  );
}

// Tiles of the row below (1) or above (-1): those whose top is the nearest on that side.
function nextRow(boxes, index, way) {
  const apart = boxes.map((box) => way * (box[1] - boxes[index][1]));
  const beyond = apart.filter((each) => each > 1);
  if (!beyond.length) return [];
  const nearest = Math.min(...beyond);
  return boxes.map((_, each) => each).filter((each) => Math.abs(apart[each] - nearest) <= 1);
}
