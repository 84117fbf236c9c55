/** The only place where elements are made: text goes in as text, never as markup. */

/** An element; attributes that are null or false are left out, `on*` functions become listeners. */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") made.addEventListener(name.replace(/^on/, ""), value);
    else made.setAttribute(name, value === true ? "" : String(value));
  }
  made.append(...present(children));
  return made;
}

/** A link, or its plain text when the address is neither http(s) nor within the page. */
export function link(href, attributes, ...children) {
  return safe(href) ? element("a", { href, ...attributes }, ...children) : element("span", {}, ...children);
}

function safe(href) {
  return href.startsWith("#") || ["http:", "https:"].includes(new URL(href, document.baseURI).protocol);
}

/** Replace what a place holds. */
export function fill(place, ...children) {
  place.replaceChildren(...present(children));
}

/** Children of any nesting without those that are nothing. */
function present(children) {
  return children.flat(Infinity).filter((child) => ![null, undefined, false, ""].includes(child));
}

/** A term and its meaning for a description list; nothing when there is nothing to say. */
export function fact(term, ...meaning) {
  const said = present(meaning);
  return said.length ? element("div", { class: "fact" }, element("dt", {}, term), element("dd", {}, ...said)) : null;
}
