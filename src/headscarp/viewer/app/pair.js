/** The hazard map and, on demand, the USGS model beside it under one camera. */

import { PageError } from "./catalogue.js";
import { hook } from "./hook.js";
import { element, fill } from "./elements.js";
import { legendOf, reading } from "./legend.js";
import { place, plain } from "./words.js";

const SETTLING_MS = 20000;

/** Begin to fetch the map library while the catalogue is still being read. */
export function preload() {
  const href = new URL("../vendor/maplibre-gl.mjs", import.meta.url).href;
  if (!document.head.querySelector(`link[href="${href}"]`)) document.head.append(element("link", { rel: "modulepreload", href }));
}

/** One or two maps. MapLibre is loaded on first use, so that the list stays light. */
export class MapPair {
  /** Maps in the places of an event page, which is told of moves and troubles. Throws PageError. */
  static async open(page, camera) {
    try {
      return new MapPair(page, await Promise.all([import("./map.js"), import("./probe.js")]), camera);
    } catch (error) {
      throw new PageError(`This browser cannot draw the map (${error.message}). Its data may still be downloaded.`);
    }
  }

  constructor(page, [maplibre, probe], camera) {
    this.page = page;
    this.tools = { ...maplibre, ...probe };
    this.parts = page.parts;
    this.layers = [];
    this.ground = null;
    this.product = page.product;
    this.whole = camera === null;
    this.first = this.make(this.parts.first, "Map of modelled landslides", camera);
    this.first.on("resize", () => this.whole && this.fit());
    hook.map = this.first;
  }

  make(container, name, camera) {
    const map = this.tools.makeMap(container, { name, camera, bounds: this.product.bounds });
    map.on("error", ({ error }) => this.page.complain([new PageError(`Part of the map could not be loaded (${error.message}).`)]));
    map.on("moveend", (move) => move.originalEvent && this.wander());
    map.on("click", (click) => this.read(click.lngLat));
    map.getCanvas().addEventListener("keydown", (key) => key.key === "Enter" && this.read(map.getCenter()));
    return map;
  }

  /** Show a product's tiles in one map or both; resolves with a PageError for each archive that cannot be read. */
  async show(product, { opacity, compare }) {
    this.product = product;
    this.compare(compare && product.usgsTiles !== null);
    this.caption(product.models);
    const wanted = [[this.first, product.tiles, "This map"]];
    if (this.second) wanted.push([this.second, product.usgsTiles, "USGS model"]);
    const layings = wanted.map(([map, url, name]) => this.lay(map, product, { url, opacity, name }));
    const [ground, ...outcomes] = await Promise.allSettled([this.layGround(product.statusTiles), ...layings]);
    this.ground = ground.value ?? null;
    this.layers = outcomes.map(({ value }, index) => ({ name: wanted[index][2], ...value })).filter(({ archive }) => archive);
    return [ground, ...outcomes].filter(({ status }) => status === "rejected").map(({ reason }) => reason);
  }

  /** Say above each map which model it shows. */
  caption(models) {
    const named = (asset) => models.filter((model) => model.asset === asset).map(({ name, version }) => `${plain(name)} ${version}`);
    this.parts.firstName.textContent = ["This map", ...named("hazard")].join(": ");
    this.parts.secondName.textContent = ["USGS model", ...named("usgs")].join(": ");
  }

  async lay(map, product, { url, opacity, name }) {
    await this.tools.showDomain(map, product.geometry);
    this.tools.mark(map, product.epicentre);
    this.tools.hideTiles(map, "tiles");
    if (!url) throw new PageError(`${name} has no tiles in this version. Its data may still be downloaded.`);
    return this.draw([map], "tiles", url, { name, opacity });
  }

  /** Say beneath every map why places have no value; null for versions published without these tiles. */
  async layGround(url) {
    const maps = this.all();
    for (const map of maps) this.tools.hideTiles(map, "status");
    if (!url) return null;
    const options = { name: "The layer of places without a value", opacity: 1, beneath: ["tiles", "graticule"] };
    return this.draw(maps, "status", url, options);
  }

  /** One archive in some maps, with its legend. Throws PageError. */
  async draw(maps, id, url, { name, ...options }) {
    try {
      const [archive] = await Promise.all(maps.map((map) => this.tools.showTiles(map, id, url, options)));
      return { archive, legend: legendOf(await archive.getMetadata()) };
    } catch (error) {
      throw new PageError(`${name} could not be loaded (${error.message}). Its data may still be downloaded.`);
    }
  }

  /** [name, legend] of every raster on show. */
  legends() {
    return this.layers.map(({ name, legend }) => [name, legend]);
  }

  /** Legend of the ground beneath them; null without one. */
  groundLegend() {
    return this.ground?.legend ?? null;
  }

  compare(wanted) {
    if (wanted === Boolean(this.second)) return;
    this.parts.frames.classList.toggle("two", wanted);
    this.parts.second.hidden = !wanted;
    this.first.resize();
    if (wanted) this.openSecond();
    else this.closeSecond();
  }

  openSecond() {
    const camera = this.camera();
    this.second = this.make(this.parts.second, "Map of the USGS model", camera);
    this.part = this.tools.synchronise(this.first, this.second);
    hook.compareMap = this.second;
  }

  closeSecond() {
    this.part();
    this.second.remove();
    this.second = null;
    hook.compareMap = null;
  }

  /** Say in words what the colours at a position mean. */
  async read(position) {
    const zoom = this.first.getZoom();
    const status = this.ground ? [{ name: "Status", ...this.ground }] : [];
    const answers = [...this.layers, ...status].map(async ({ name, archive, legend }) => {
      const found = await this.tools.classAt(archive, legend?.classes ?? [], position, zoom);
      return element("span", {}, `${name}: ${reading(found)}`);
    });
    fill(this.parts.reading, element("strong", {}, place([position.lng, position.lat])), await Promise.all(answers));
  }

  setOpacity(value) {
    for (const map of this.all()) {
      if (map.getLayer("tiles")) map.setPaintProperty("tiles", "raster-opacity", value);
    }
  }

  camera() {
    const { lng, lat } = this.first.getCenter();
    return { center: [lng, lat], zoom: this.first.getZoom() };
  }

  /** The camera a visitor has chosen; null while the whole area is in view. */
  chosenCamera() {
    return this.whole ? null : this.camera();
  }

  /** The visitor has moved a map: from now on the camera is theirs. */
  wander() {
    this.whole = false;
    this.page.remember();
  }

  /** Take up a camera, or the whole area without one. */
  look(camera) {
    this.whole = camera === null;
    if (camera) this.first.jumpTo(camera);
    else this.fit();
  }

  /** Show the whole modelled area, until the visitor moves. */
  fit() {
    this.whole = true;
    this.tools.fitTo(this.first, this.product.bounds);
  }

  all() {
    return [this.first, this.second].filter(Boolean);
  }

  /** Resolves when everything in view is drawn, or after a while. */
  settled() {
    const idle = this.all().map((map) => new Promise((done) => map.once("idle", done)));
    for (const map of this.all()) map.triggerRepaint();
    return Promise.race([Promise.all(idle), new Promise((done) => setTimeout(done, SETTLING_MS))]);
  }

  close() {
    if (this.second) this.closeSecond();
    this.first.remove();
    hook.map = null;
  }
}
