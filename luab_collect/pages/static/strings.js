// Texts of the pages by key, from the shell. A text that is missing shows its key: seen, not silent.

const texts = JSON.parse(document.getElementById("texts")?.textContent ?? "{}");
const plurals = new Intl.PluralRules(document.documentElement.lang || "en");

/** The text of `key` with `{name}` filled in. With `count`, `key.one` or `key.other`, as the language has it. */
export function t(key, values = {}) {
  const count = values.count;
  const text =
    (count !== undefined && (texts[`${key}.${plurals.select(count)}`] ?? texts[`${key}.other`])) || texts[key] || key;
  return text.replace(/\{(\w+)\}/g, (all, name) => (name in values ? String(values[name]) : all));
}
