// The search: sections in which the words of a query stand, each with an excerpt. It has all texts; nothing is fetched.
"use strict";
(() => {
  const kans = (globalThis.kans ??= {});
  const MOST_SHOWN = 40, BEFORE = 60, LONGEST = 200, PHRASE = 4; // sections; characters of an excerpt; words to highlight
  const LETTER = "[\\p{Letter}\\p{Number}_]", WORDS = new RegExp(`${LETTER}+`, "gu");
  const ENDING = /(?<=^.{4,})(?:ments?|ings?|ed|es|s|e)$/; // of English words: “announces” finds “announcement”

  /** Return the terms of a query: its words without their endings, and without those like “the”. */
  function termsOf(query, stopWords) {
    const asked = query.toLowerCase().match(WORDS) ?? [], telling = asked.filter(word => !stopWords.includes(word));
    return [...new Set(telling.length ? telling : asked)].map(word => {
      // a Korean noun stands before its particle, and behind another noun, without a space
      const start = /[가-힣]/.test(word) ? "" : `(?<!${LETTER})`;
      return new RegExp(`${start}${word.replace(ENDING, "")}${LETTER}*`, "giu");
    });
  }

  const count = (text, term) => text.match(term)?.length ?? 0;

  /** Return how many terms a section has, and how good a place it is for them. */
  function judge([page, title, , , text], terms) {
    let found = 0, score = 0;
    for (const term of terms) {
      const hits = 20 * count(title, term) + 6 * count(page, term) + Math.min(count(text, term), 5);
      if (hits) found += 1;
      score += hits;
    }
    return {found, score};
  }

  /** Return the place of the first line that has the most terms, and of the first term in it. */
  function bestPlace(text, terms) {
    let start = 0, best = {at: -1, found: 0};
    for (const line of text.split("\n")) {
      const places = terms.map(term => line.search(term)).filter(place => place >= 0);
      if (places.length > best.found) best = {at: start + Math.min(...places), found: places.length};
      start += line.length + 1;
    }
    return best.at;
  }

  /** Return what stands around a place, with the terms marked. */
  function excerpt(text, at, terms) {
    const start = at > BEFORE ? text.indexOf(" ", at - BEFORE) + 1 : 0;
    const end = text.length > start + LONGEST ? text.lastIndexOf(" ", start + LONGEST) : text.length;
    const part = text.slice(start, end).replaceAll("\n", " · ");
    const anyTerm = new RegExp(terms.map(term => term.source).join("|"), "giu"), place = kans.make("p");
    let last = 0;
    for (const found of part.matchAll(anyTerm)) {
      place.append(part.slice(last, found.index), kans.make("mark", {}, found[0]));
      last = found.index + found[0].length;
    }
    place.prepend(start ? "… " : "");
    place.append(part.slice(last), end < text.length ? " …" : "");
    return place;
  }

  /** Return what makes a browser scroll to the words at a place, and highlight them: a text fragment of an address. */
  function fragment(text, at) {
    if (at < 0) return "";
    const [phrase] = text.slice(at).match(new RegExp(`^(?:[^\\s]+[^\\S\\n]?){1,${PHRASE}}`, "u")) ?? [""];
    return `:~:text=${encodeURIComponent(phrase.trim()).replaceAll("-", "%2D")}`;
  }

  function result(section, terms) {
    const [page, title, address, , text] = section, at = bestPlace(text, terms);
    const href = `${address}${at < 0 || address.includes("#") ? "" : "#"}${fragment(text, at)}`;
    const name = title ? `${page} › ${title}` : page;
    return kans.make("li", {}, kans.make("a", {href}, name), excerpt(text, Math.max(at, 0), terms));
  }

  /** Show the sections that have most of the terms: chapters first, the reference last. */
  kans.search = (sections, stopWords) => {
    const {words} = kans.page, place = document.getElementById("search-results");
    const query = new URLSearchParams(location.search).get("q") ?? "", terms = termsOf(query, stopWords);
    document.querySelector(".kans-search [name=q]").value = query;
    if (!terms.length) return;
    const judged = sections.map(section => ({section, ...judge(section, terms)})).filter(one => one.found);
    const most = Math.max(...judged.map(one => one.found)), least = most > 2 ? most - 1 : most;
    const found = judged.filter(one => one.found >= least)
      .sort((a, b) => b.found - a.found || a.section[3] - b.section[3] || b.score - a.score);
    const said = found.length ? kans.fill(words.found, {count: found.length}) : kans.fill(words.not_found, {query});
    place.replaceChildren(
      kans.make("p", {role: "status"}, said),
      kans.make("ul", {class: "search"}, ...found.slice(0, MOST_SHOWN).map(one => result(one.section, terms))),
    );
  };
})();
