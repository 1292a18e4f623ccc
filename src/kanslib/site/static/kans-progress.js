// What a reader has done: kept in this browser, in the format of the file that a lab writes, and carried by its token.
"use strict";
(() => {
  const kans = (globalThis.kans ??= {});
  const KEY = "kanslib-progress", FORMAT = 1, PREFIX = "kans1.", LARGEST = 1 << 20; // bytes of JSON
  const FROM_WORST_TO_BEST = ["not tried", "wrong", "right after help", "right"];
  const EMPTY = {outcome: "not tried", tries: 0, hints: 0, saw_solution: false, ideas: []};
  let entries = {}, isKept = true;

  const isCount = value => Number.isInteger(value) && value >= 0;
  const isEntry = one => one !== null && typeof one === "object" && FROM_WORST_TO_BEST.includes(one.outcome) &&
    isCount(one.tries) && isCount(one.hints) && typeof one.saw_solution === "boolean" &&
    Array.isArray(one.ideas) && one.ideas.every(idea => typeof idea === "string");

  /** Return the entries in a file's JSON; throws for anything else. */
  function parse(text) {
    const file = JSON.parse(text);
    const found = file?.format === FORMAT && file.entries;
    if (!found || typeof found !== "object" || Array.isArray(found) || !Object.values(found).every(isEntry)) {
      throw new Error("not a progress file");
    }
    return Object.fromEntries(Object.entries(found).map(([name, {outcome, tries, hints, saw_solution, ideas}]) =>
      [name, {outcome, tries, hints, saw_solution, ideas}]));
  }

  const toJSON = () => JSON.stringify(
    {format: FORMAT, entries: Object.fromEntries(Object.entries(entries).sort(([a], [b]) => (a < b ? -1 : 1)))}, null, 1,
  ) + "\n";

  const merge = (one, other) => ({
    outcome: [one.outcome, other.outcome].sort((a, b) => FROM_WORST_TO_BEST.indexOf(b) - FROM_WORST_TO_BEST.indexOf(a))[0],
    tries: Math.max(one.tries, other.tries),
    hints: Math.max(one.hints, other.hints),
    saw_solution: one.saw_solution || other.saw_solution,
    ideas: [...new Set([...one.ideas, ...other.ideas])],
  });

  function mergeAll(others) {
    for (const [name, entry] of Object.entries(others)) entries[name] = merge(of(name), entry);
  }

  /** Take in what the browser keeps; another page of the site may have written meanwhile. */
  function load() {
    let text = null;
    try {
      text = localStorage.getItem(KEY);
    } catch {
      isKept = false; // a page from disk, or a browser that keeps nothing
      return;
    }
    if (text === null) return;
    try {
      mergeAll(parse(text));
    } catch { // never overwritten
      localStorage.setItem(`${KEY}-unreadable-${Date.now()}`, text);
    }
  }

  function save() {
    load();
    try {
      localStorage.setItem(KEY, toJSON());
    } catch {
      isKept = false;
    }
    document.dispatchEvent(new Event("kans-progress"));
  }

  const of = name => (Object.hasOwn(entries, name) ? entries[name] : EMPTY);

  /** Record an answer and return its outcome. A right answer stays right. */
  function recordTry(name, isRight, idea) {
    const before = of(name);
    const outcome = !isRight ? "wrong" : before.saw_solution || before.hints > 0 ? "right after help" : "right";
    const merged = merge(before, {...EMPTY, outcome, ideas: idea ? [idea] : []});
    entries[name] = {...merged, tries: merged.tries + 1};
    save();
    return outcome;
  }

  function recordHelp(name, help) {
    entries[name] = merge(of(name), {...EMPTY, ...help});
    save();
  }

  async function through(stream, bytes, most = Infinity) {
    const reader = new Blob([bytes]).stream().pipeThrough(stream).getReader();
    const parts = [];
    for (let length = 0; ;) {
      const {done, value} = await reader.read();
      if (done) break;
      parts.push(value);
      if ((length += value.length) > most) throw new Error("too large");
    }
    return new Uint8Array(await new Blob(parts).arrayBuffer());
  }

  /** Return all of it as one line of text. */
  async function token() {
    const packed = await through(new CompressionStream("deflate"), new TextEncoder().encode(toJSON()));
    const text = btoa(Array.from(packed, byte => String.fromCharCode(byte)).join(""));
    return PREFIX + text.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
  }

  /** Merge a token's entries into these; return how many it held. Throws for what is no token. */
  async function mergeToken(text) {
    const body = text.trim();
    if (!body.startsWith(PREFIX) || body.length > 2 * LARGEST) throw new Error("no token");
    const binary = atob(body.slice(PREFIX.length).replaceAll("-", "+").replaceAll("_", "/"));
    const bytes = Uint8Array.from(binary, letter => letter.charCodeAt(0));
    const found = parse(new TextDecoder().decode(await through(new DecompressionStream("deflate"), bytes, LARGEST)));
    mergeAll(found);
    save();
    return Object.keys(found).length;
  }

  kans.progress = {of, recordTry, recordHelp, token, mergeToken, isKept: () => isKept};
  load();
  addEventListener("storage", event => {
    if (event.key === KEY) {
      load();
      document.dispatchEvent(new Event("kans-progress"));
    }
  });

  // ── what a page shows of it ───────────────────────────────────────────────────────────────────────────────
  const RIGHT = new Set(["right", "right after help"]);

  class Report {
    constructor(box) {
      this.box = box;
      this.chapters = JSON.parse(box.querySelector(".kans-data").textContent);
      this.titles = JSON.parse(box.dataset.titles ?? "{}");
      this.show();
      document.addEventListener("kans-progress", () => this.show());
      const all = box.querySelector(".kans-all");
      all?.append(kans.make("a", {href: new URL("../../progress.html", kans.scripts)}, kans.page.words.all));
      const tokens = box.querySelector(".kans-tokens");
      if (tokens) this.watch(tokens);
    }

    show() {
      const {words, outcomes} = kans.page;
      this.box.querySelector(".kans-chapters").replaceChildren(
        ...Object.entries(this.chapters).map(([chapter, names]) => this.line(chapter, names)));
      this.fill(".kans-kept", isKept ? words.kept : words.not_kept);
      const signs = FROM_WORST_TO_BEST.map(outcome => outcomes[outcome]).map(([sign, words]) => `${sign || "○"} ${words}`);
      this.fill(".kans-signs", signs.join(" · "));
    }

    fill(selector, text) {
      const place = this.box.querySelector(selector);
      if (place) place.textContent = text;
    }

    /** Return a chapter in words, and a square with a sign for each of its exercises. */
    line(chapter, places) {
      const {words, outcomes} = kans.page, names = Object.keys(places), found = names.map(name => of(name).outcome);
      const right = found.filter(outcome => RIGHT.has(outcome)).length;
      const wrong = found.filter(outcome => outcome === "wrong").length;
      const text = kans.fill(wrong ? words.chapter_tried : words.chapter, {chapter, right, all: names.length, wrong});
      const squares = names.map((name, place) => {
        const [sign, state, colour] = outcomes[found[place]], title = `${name}: ${state}`, href = places[name];
        // from a chapter's page to a place in it, or from the page of all progress to a chapter
        const square = href ? kans.make("a", {href, title, "aria-label": title}, sign || "○") : kans.make("span", {title}, sign || "○");
        square.style.borderColor = colour;
        return square;
      });
      const title = this.titles[chapter] ? [kans.make("b", {}, this.titles[chapter]), " · "] : [];
      return kans.make("li", {}, ...title, text, kans.make("div", {class: "kans-squares"}, ...squares));
    }

    watch(tokens) {
      const {words} = kans.page, [own, other] = tokens.querySelectorAll("textarea");
      tokens.hidden = false;
      const when = (name, action) =>
        tokens.querySelector(`[name=${name}]`).addEventListener("click", async ({currentTarget}) =>
          (currentTarget.parentElement.querySelector(".kans-token-status").textContent = await action()));
      const isOld = typeof CompressionStream === "undefined";
      when("make", async () => {
        if (isOld) return words.no_compression;
        own.value = await token();
        own.closest(".kans-own-token").hidden = false;
        own.select();
        return "";
      });
      when("copy", async () => {
        own.select();
        try {
          await navigator.clipboard.writeText(own.value);
        } catch { // a page that was opened from disk may not
          document.execCommand("copy");
        }
        return words.copied;
      });
      when("read", async () => {
        if (isOld) return words.no_compression;
        try {
          return kans.fill(words.merged, {count: await mergeToken(other.value)});
        } catch {
          return words.bad_token;
        }
      });
    }
  }

  document.addEventListener("DOMContentLoaded", () => {
    for (const box of document.querySelectorAll("[data-progress]")) new Report(box);
  });
})();
