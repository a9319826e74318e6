// Numbers as people read them.

/** A share with its interval, {value, low, high, total}: "93 % (90 to 95; 120)". */
export function interval(share) {
  if (!share || share.value === null) return "–";
  const [value, low, high] = [share.value, share.low, share.high].map((each) => Math.round(each * 100));
  return `${value} % (${low} to ${high}; ${share.total})`;
}

/** A coefficient with its interval over images, {value, low, high, images}: "0.88 (0.79 to 0.96; 30)". */
export function coefficient({ value, low, high, images }) {
  if (value === null) return "–";
  const ends = low === null ? "no interval" : `${low.toFixed(2)} to ${high.toFixed(2)}`;
  return `${value.toFixed(2)} (${ends}; ${number(images)})`;
}

export function seconds(ms) {
  return ms === null || ms === undefined ? "–" : `${(ms / 1000).toFixed(1)} s`;
}

export const number = (value) => value.toLocaleString("en-US");

export function moment(epochSeconds) {
  return epochSeconds ? new Date(epochSeconds * 1000).toISOString().slice(0, 16).replace("T", " ") : "–";
}

export function hours(value) {
  if (value === null || value === undefined) return "–";
  return value < 48 ? `${value.toFixed(1)} h` : `${(value / 24).toFixed(1)} days`;
}

export function size(bytes) {
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
