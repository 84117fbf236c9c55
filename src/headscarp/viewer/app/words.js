/** Numbers, times and places as people read them. All times are UTC. */

const DATE = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short", timeZone: "UTC" });
const WHOLE = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 0 });

/** "22 Nov 2026, 16:20 UTC"; "time unknown" where it is no time. */
export function when(time) {
  const date = new Date(time);
  return time === null || Number.isNaN(date.valueOf()) ? "time unknown" : `${DATE.format(date)} UTC`;
}

/** "3 hours ago", in the largest unit that counts at least two. */
export function since(time, now = Date.now()) {
  const seconds = (now - new Date(time).valueOf()) / 1000;
  if (Number.isNaN(seconds)) return "";
  if (seconds < 0) return "in the future";
  const units = [["year", 31557600], ["month", 2629800], ["day", 86400], ["hour", 3600], ["minute", 60]];
  const unit = units.find(([, size]) => seconds >= 2 * size);
  return unit ? `${Math.floor(seconds / unit[1])} ${unit[0]}s ago` : "just now";
}

/** "6.8", or a dash. */
export const magnitude = (value) => (Number.isFinite(value) ? value.toFixed(1) : "–");

/** A number with a sensible count of digits and its unit. */
export function quantity(value, unit) {
  if (!Number.isFinite(value)) return null;
  const digits = Math.abs(value) >= 100 ? WHOLE.format(value) : String(Number(value.toPrecision(3)));
  return `${digits} ${unit}`.trim();
}

/** "38.662° N, 20.600° E" */
export function place([lon, lat]) {
  const wrapped = ((((lon + 180) % 360) + 360) % 360) - 180;
  const north = `${Math.abs(lat).toFixed(3)}° ${lat < 0 ? "S" : "N"}`;
  return `${north}, ${Math.abs(wrapped).toFixed(3)}° ${wrapped < 0 ? "W" : "E"}`;
}

/** "a", "a and b", "a, b and c" */
export function listed(names) {
  return names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}

/** A name of a channel or model without its underscores. */
export const plain = (name) => name.replaceAll("_", " ");
