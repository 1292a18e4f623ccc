// The time machine: a slider over the scenes of a story. Drawings share their elements; they are put together here.
"use strict";
(() => {
  const kans = (globalThis.kans ??= {});
  const SVG = "http://www.w3.org/2000/svg";
  const ATTRIBUTES = {"max-width": 5 / 4, "min-width": 1}; // of a drawing's width, as in every figure

  class TimeMachine {
    constructor(box) {
      this.box = box;
      this.slider = box.querySelector(".kans-strip>input");
      [this.before, this.next] = box.querySelectorAll(".kans-time-controls button");
      this.headline = box.querySelector(".kans-time-headline");
      kans.whenNear(box, () => this.load());
    }

    async load() {
      try {
        this.story = await kans.dataOf(this.box.querySelector(":scope>.kans-data"));
      } catch (error) {
        this.headline.textContent = error.message;
        kans.whenNear(this.box, () => this.load());
        return;
      }
      this.shown = this.story.scenes[0];
      this.slider.hidden = false;
      this.box.classList.add("kans-live");
      this.box.querySelectorAll(".kans-strip .kans-drawing").forEach(one => one.removeAttribute("tabindex")); // the slider is there
      this.slider.addEventListener("input", () => this.show());
      this.before.addEventListener("click", () => this.stepTo(this.stops().before));
      this.next.addEventListener("click", () => this.stepTo(this.stops().after));
      this.box.addEventListener("keydown", event => this.key(event));
      this.show();
    }

    /** The arrow keys to the left and right go from stop to stop; on the slider, up and down go a tenth of a second. */
    key(event) {
      const button = {ArrowLeft: this.before, ArrowRight: this.next}[event.key];
      if (!button || !event.target.matches("input,button")) return;
      event.preventDefault();
      button.click();
    }

    get at() {
      return this.slider.valueAsNumber;
    }

    stops() {
      const all = this.story.stops.map(([at]) => at);
      return {before: all.findLast(at => at < this.at - 0.05), after: all.find(at => at > this.at + 0.05)};
    }

    /** Return the seconds since the last action, in brackets; nothing before the first one and at an action. */
    sinceAction() {
      const [start, action] = this.story.actions.findLast(([at]) => at <= this.at + 0.05) ?? [this.at];
      const seconds = this.at - start;
      return seconds < 0.05 ? "" : ` (${kans.fill(kans.page.words.since_action, {seconds: kans.numeral(seconds, 1), action})})`;
    }

    stepTo(stop) {
      if (stop === undefined) return;
      this.slider.value = stop;
      this.show();
    }

    show() {
      const {before, after} = this.stops();
      this.before.disabled = before === undefined;
      this.next.disabled = after === undefined;
      const latest = this.story.stops.findLast(([at]) => at <= this.at + 0.05)?.[1] ?? "";
      const moment = `${kans.numeral(this.at, 1)} s`, since = this.sinceAction();
      this.headline.replaceChildren(kans.make("b", {}, moment), `${since} · ${latest}`);
      this.slider.setAttribute("aria-valuetext", `${moment}${since}: ${latest}`);
      const scene = this.story.scenes.findLast(([at]) => at <= this.at + 0.001);
      const [, map, addresses, path] = scene, [, oldMap, oldAddresses, oldPath] = this.shown;
      if (map !== oldMap) this.showMap(map, oldMap);
      if (addresses !== oldAddresses) this.showAddresses(addresses);
      if (path !== oldPath) this.showPath(path);
      const leaders = this.rows().map(([service, leader]) => `${service.textContent} ${leader.textContent}`).join(" · ");
      this.box.querySelector(".kans-time-now").textContent = `${kans.page.words.leaders_now}: ${leaders}`;
      this.shown = scene;
    }

    /** Show a map; what it says otherwise of a node or of a Service than the one before flashes. */
    showMap(map, old) {
      const place = this.box.querySelector(".kans-map"), known = new Set(Object.values(this.story.names[old]));
      place.replaceChildren(this.figure(this.story.maps[map], place));
      for (const part of place.querySelectorAll(".kans-changed")) {
        part.classList.toggle("kans-changed", !known.has(this.story.names[map][part.dataset.name]));
      }
    }

    showPath(path) {
      const place = this.box.querySelector(".kans-path"), found = this.story.paths[path];
      place.replaceChildren(typeof found === "string" ? kans.make("p", {}, found) : this.figure(found, place));
    }

    /** The cells of each row of the table of addresses: a Service, its leader, what the client remembers. */
    rows() {
      return [...this.box.querySelectorAll(".kans-table-place tbody tr")].map(row => [...row.cells]);
    }

    showAddresses(addresses) {
      const place = this.box.querySelector(".kans-table-place");
      const old = new Map(this.rows().map(cells => [cells[0].textContent, cells.map(cell => cell.textContent)]));
      place.innerHTML = this.story.addresses[addresses];
      for (const cells of this.rows()) {
        const before = old.get(cells[0].textContent);
        cells.forEach((cell, place) => cell.classList.toggle("kans-changed", before && before[place] !== cell.textContent));
      }
    }

    /** Return a figure: its drawing at each width, of which the page's style shows one, and its words, as unfolded as before. */
    figure({drawings, words: spoken}, place) {
      const figure = kans.make("div", {class: "kans-figure"});
      for (const [width, height, title, parts] of drawings) {
        const svg = document.createElementNS(SVG, "svg");
        const content = parts.map(part => this.story.parts[part]).join("");
        svg.setAttribute("role", content.includes("tabindex") ? "group" : "img");
        svg.setAttribute("aria-label", title);
        svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
        for (const [name, factor] of Object.entries(ATTRIBUTES)) svg.style.setProperty(name, `${width * factor}px`);
        svg.innerHTML = content;
        kans.oneStop(svg);
        const attributes = {class: "kans-drawing", "data-width": width, tabindex: 0, role: "group", "aria-label": title};
        figure.append(kans.make("div", attributes, svg));
      }
      const details = place.querySelector(".kans-words");
      const lines = spoken.map(line => kans.make("div", {}, line));
      if (details) {
        details.replaceChildren(details.querySelector("summary"), ...lines);
        this.details ??= details.cloneNode(true);
        figure.append(details);
      } else if (this.details) {
        const copy = this.details.cloneNode(true);
        copy.open = false;
        copy.replaceChildren(copy.querySelector("summary"), ...lines);
        figure.append(copy);
      }
      return figure;
    }
  }

  document.addEventListener("DOMContentLoaded", () => {
    for (const box of document.querySelectorAll("[data-time-machine]")) new TimeMachine(box);
  });
})();
