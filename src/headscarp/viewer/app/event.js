/** The page of one event: maps, controls and panel, kept in step with the address. */

import { formatAddress } from "./address.js";
import { banners } from "./badges.js";
import { PageError, readEvent, readJson } from "./catalogue.js";
import { controls } from "./controls.js";
import { element, fill } from "./elements.js";
import { hook } from "./hook.js";
import { legends } from "./legend.js";
import { MapPair } from "./pair.js";
import { downloads, facts, headline } from "./panel.js";
import { describe } from "./product.js";

const NEWS_EVERY_MS = 30000;
const READING_HINT = "Select a place on the map to read its class; the Enter key reads the centre.";

/** An event on show. Follow the address with `show`, end with `close`. */
export class EventPage {
  constructor(place, eventLink, event) {
    this.id = event.id;
    this.eventLink = eventLink;
    this.event = event;
    this.opacity = 1;
    this.closed = false;
    this.shown = Promise.resolve();
    this.parts = layOut(place);
    this.look = () => this.lookForNews();
    this.news = setInterval(this.look, NEWS_EVERY_MS);
    document.addEventListener("visibilitychange", this.look);
  }

  /** Show the version, comparison and camera an address asks for, after what was asked before. Throws PageError. */
  show(address) {
    const next = () => this.present(address);
    // Whoever asked for the one before has heard of its failure.
    this.shown = this.shown.then(next, next);
    return this.shown;
  }

  async present(address) {
    if (this.closed) return;
    const version = this.pick(address.version);
    this.address = address;
    const changed = version.id !== this.product?.id;
    if (changed) this.product = await this.load(version);
    if (this.closed) return;
    this.draw(version);
    await this.drawMaps(address);
  }

  pick(id) {
    const version = id ? this.event.versions.find((one) => one.id === id) : this.event.versions[0];
    if (!version) throw new PageError(`Event ${this.id} has no version “${id}”.`, { missing: true });
    return version;
  }

  async load(version) {
    const product = describe(await readJson(version.href));
    const { synthetic, withdrawn, versions } = this.event;
    return {
      ...product,
      synthetic: product.synthetic || synthetic,
      withdrawn: product.withdrawn || withdrawn,
      superseded: product.superseded || version.id !== versions[0].id,
    };
  }

  draw(version) {
    const { product, parts } = this;
    hook.product = product;
    document.title = `${this.event.title} · headscarp`;
    const latest = formatAddress({ ...this.here(), version: null });
    fill(parts.banners, banners(product, latest));
    fill(parts.head, headline(this.event.title, product));
    fill(parts.controls, controls(this, version));
    fill(parts.about, facts(product), downloads(product));
  }

  async drawMaps(address) {
    try {
      this.maps ??= await MapPair.open(this, address.camera);
    } catch (error) {
      this.complain([error]);
      return;
    }
    if (this.closed) {
      this.maps.close();
      return;
    }
    const troubles = await this.maps.show(this.product, { opacity: this.opacity, compare: address.compare });
    this.complain(troubles);
    fill(this.parts.legend, legends(this.maps.legends(), this.maps.groundLegend(), this.product.silences));
    this.maps.look(address.camera);
    await this.maps.settled();
  }

  /** Show what went wrong with the maps, in place of what went wrong before. */
  complain(troubles) {
    const lines = troubles.map(({ message }) => element("p", { class: "trouble", role: "alert" }, message));
    fill(this.parts.mapTrouble, lines);
  }

  /** The address of what is on show now; without camera while the whole area is in view. */
  here() {
    const { version, compare } = this.address;
    return { event: this.id, version, compare, camera: this.maps?.chosenCamera() ?? null };
  }

  /** Write the camera into the address without a new entry in the history. */
  remember() {
    history.replaceState(null, "", formatAddress(this.here()));
  }

  setOpacity(value) {
    this.opacity = value;
    this.maps?.setOpacity(value);
  }

  go(change) {
    location.hash = formatAddress({ ...this.here(), ...change });
  }

  /** Tell of a version published since the page was opened. */
  async lookForNews() {
    if (document.hidden) return;
    // What is on show stays true when the look fails; the next one comes soon.
    const now = await readEvent(this.eventLink).catch(() => this.event);
    if (!this.product || now.versions[0].id === this.event.versions[0].id) return;
    this.event = now;
    this.product.superseded = true;
    this.draw(this.event.versions.find(({ id }) => id === this.product.id));
  }

  close() {
    this.closed = true;
    clearInterval(this.news);
    document.removeEventListener("visibilitychange", this.look);
    this.maps?.close();
  }
}

function layOut(place) {
  const part = (name, attributes = {}) => element("div", { class: name, ...attributes });
  const parts = {
    banners: part("banners"),
    head: part("headline"),
    controls: part("controls"),
    legend: part("legends"),
    about: part("about"),
    mapTrouble: part("map-trouble"),
    reading: element("div", { class: "reading", role: "status" }, READING_HINT),
    firstName: element("figcaption"),
    secondName: element("figcaption"),
    first: part("map"),
    second: part("map", { hidden: true }),
  };
  parts.frames = element(
    "div",
    { class: "frames" },
    element("figure", { class: "frame" }, parts.firstName, parts.first),
    element("figure", { class: "frame" }, parts.secondName, parts.second),
  );
  const stage = element("div", { class: "stage" }, parts.mapTrouble, parts.frames, parts.reading);
  const side = element("div", { class: "side" }, parts.head, parts.controls, parts.legend, parts.about);
  fill(place, parts.banners, element("div", { class: "event-page" }, side, stage));
  return parts;
}
