/** Deep links: #event=<id>&version=<item id>&compare=1&lon=..&lat=..&z=.. */

/** The address a hash names; absent parts are null. */
export function parseAddress(hash) {
  const parts = new URLSearchParams(hash.replace(/^#/, ""));
  return {
    event: parts.get("event"),
    version: parts.get("version"),
    compare: parts.get("compare") === "1",
    camera: parseCamera(parts),
  };
}

function parseCamera(parts) {
  const [lon, lat, zoom] = ["lon", "lat", "z"].map((name) => Number.parseFloat(parts.get(name)));
  const usable = [lon, lat, zoom].every(Number.isFinite) && Math.abs(lat) <= 85 && zoom >= 0 && zoom <= 22;
  return usable ? { center: [lon, lat], zoom } : null;
}

/** The hash of an address; "#" alone is the list of events. */
export function formatAddress({ event = null, version = null, compare = false, camera = null }) {
  const parts = new URLSearchParams();
  if (event) parts.set("event", event);
  if (version) parts.set("version", version);
  if (compare) parts.set("compare", "1");
  if (camera) {
    parts.set("lon", camera.center[0].toFixed(4));
    parts.set("lat", camera.center[1].toFixed(4));
    parts.set("z", camera.zoom.toFixed(2));
  }
  return `#${parts}`;
}
