/** What a place on the map is coloured as: the tile's own pixel, looked up in the legend. */

const TILE = 256;
const TOLERANCE = 6;

/** The legend class at a position, "none" where the tile is clear; null when the archive has no such zoom. */
export async function classAt(archive, classes, { lng, lat }, zoom) {
  const header = await archive.getHeader();
  const level = Math.max(header.minZoom, Math.min(header.maxZoom, Math.round(zoom)));
  const [x, y] = worldPixel(lng, lat, level);
  const tile = await archive.getZxy(level, Math.floor(x / TILE), Math.floor(y / TILE));
  if (!tile) return "none";
  const [red, green, blue, alpha] = await pixel(tile.data, x % TILE, y % TILE);
  if (alpha === 0) return "none";
  return classes.find(({ rgb }) => near(rgb, [red, green, blue])) ?? null;
}

const near = (one, other) => one.every((value, index) => Math.abs(value - other[index]) <= TOLERANCE);

function worldPixel(lng, lat, level) {
  const size = TILE * 2 ** level;
  const turn = (((lng + 180) / 360) % 1 + 1) % 1;
  const latitude = (Math.max(-85.0511, Math.min(85.0511, lat)) * Math.PI) / 180;
  const down = (1 - Math.asinh(Math.tan(latitude)) / Math.PI) / 2;
  return [turn * size, down * size];
}

async function pixel(data, x, y) {
  const options = { premultiplyAlpha: "none", colorSpaceConversion: "none" };
  const bitmap = await createImageBitmap(new Blob([data]), options);
  const scale = bitmap.width / TILE;
  const context = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, -Math.floor(x * scale), -Math.floor(y * scale));
  return context.getImageData(0, 0, 1, 1).data;
}
