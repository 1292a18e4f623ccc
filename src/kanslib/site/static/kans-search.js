// The search: sections in which the words of a query stand, each with an excerpt. It has all texts; nothing is fetched.
"use strict";
(() => {
  const kans = (globalThis.kans ??= {});
  const MOST_SHOWN = 40, BEFORE = 60, LONGEST = 200, PHRASE = 4; // sections; characters of an excerpt; words to highlight
  const LETTER = "[\\p{Letter}\\p{Number}_]", WORDS = new RegExp(`${LETTER}+`, "gu");
  // of English words: “announces” finds “announcement”, and “pods” finds “Pod”
  const ENDING = /(?<=^.{4,})(?:ments?|ings?|ed|es|e)$|(?<=^..+[^s])s$/, ENDINGS = "(?:e?[sd]|e|ments?|ings?)?";
  const SHORTEST_BEGINNING = 3; // letters: “ip” is no beginning of “iptables”, and “nft” is one of “nftables”
  const BEGINNING = 0.2, SYNONYM = 0.4; // the worth of a word that only begins as the term does, or that means the same
  // of a term that a section explains or has in its title, beside 1 for one that stands often in its text
  const IN_TITLE = 2, IN_PAGE_TITLE = 0.5, IN_LINE = 2, AS_ASKED = 1;
  const RANKS = [1, 0.9, 0.6]; // of a chapter, of a how-to page, of another page
  const LEAST = 0.5; // of the best score

  /** Return the patterns of a word: itself with any ending, and all that begins as it does. */
  function patternsOf(word) {
    const stem = word.replace(ENDING, "");
    // a Korean noun stands before its particle, and behind another noun, without a space
    if (/[가-힣]/.test(word)) return {word: new RegExp(stem, "giu"), any: new RegExp(`${stem}${LETTER}*`, "giu")};
    const whole = `(?<!${LETTER})${stem}${stem.length < SHORTEST_BEGINNING ? "s?" : ENDINGS}(?!${LETTER})`;
    const begun = stem.length < SHORTEST_BEGINNING ? whole : `(?<!${LETTER})${stem}${LETTER}*`;
    return {word: new RegExp(whole, "giu"), any: new RegExp(begun, "giu")};
  }

  /** Return the terms of a query: its words without those like “the”, each with the pages' words for the same. */
  function termsOf(query, {stop_words: unsaid, synonyms}) {
    const asked = query.toLowerCase().match(WORDS) ?? [], telling = asked.filter(word => !unsaid.includes(word));
    return [...new Set(telling.length ? telling : asked)].map(word =>
      ({...patternsOf(word), others: (synonyms[word] ?? []).map(other => patternsOf(other).word)}));
  }

  /** Return how well a text has a term, 0 to 1: as a word more than once, as a word, by another word, as a beginning. */
  function worth(text, {word, any, others}) {
    const hits = text.match(word)?.length ?? 0;
    if (hits) return 1 - 0.4 / hits;
    if (others.some(other => text.search(other) >= 0)) return SYNONYM;
    return text.search(any) >= 0 ? BEGINNING : 0;
  }

  /** Return how rare each term is in the sections: a word that stands in most of them says little. */
  const rarity = (sections, terms) => terms.map(term => {
    const having = sections.filter(([, title, , , text]) => text.search(term.word) >= 0 || title.search(term.word) >= 0);
    return Math.log(1 + sections.length / (1 + having.length));
  });

  /** Return how good an answer a section is: most for one with the rare terms near each other, or in its title. */
  function judge([page, title, , rank, text, explained], terms, rare, asIs) {
    const score = part => terms.reduce((sum, term, n) => sum + rare[n] * worth(part, term), 0);
    const place = `${title || page} ${explained}`, near = Math.max(...[place, ...text.split("\n")].map(score));
    const total = rare.reduce((sum, one) => sum + one, 0);
    const exact = asIs && (title.search(asIs) >= 0 || text.search(asIs) >= 0) ? AS_ASKED * total : 0;
    return RANKS[rank] * (score(text) + IN_LINE * near + IN_TITLE * score(place) + IN_PAGE_TITLE * score(page) + exact);
  }

  /** Return the place of the first line that has the most terms, and of the first term in it. */
  function bestPlace(text, terms) {
    let start = 0, best = {at: -1, found: 0};
    for (const line of text.split("\n")) {
      const places = terms.map(term => line.search(term.any)).filter(place => place >= 0);
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
    const anyTerm = new RegExp(terms.flatMap(term => [term.any, ...term.others]).map(one => one.source).join("|"), "giu"), place = kans.make("p");
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

  /** Return the query as one pattern if it is more than one word: its words as they are, one behind the other. */
  function asAsked(query) {
    const asked = query.toLowerCase().match(WORDS) ?? [];
    return asked.length > 1 ? new RegExp(`(?<!${LETTER})${asked.join("[^\\p{Letter}\\p{Number}\n]+")}`, "iu") : null;
  }

  /** Return the sections that answer a query, the best first, and the terms of the query. */
  kans.ranked = (sections, words, query) => {
    const terms = termsOf(query, words), rare = rarity(sections, terms), asIs = asAsked(query);
    const judged = sections.map(section => ({section, score: judge(section, terms, rare, asIs)}));
    const best = Math.max(...judged.map(one => one.score)), least = Math.max(LEAST * best, Number.MIN_VALUE);
    const found = judged.filter(one => one.score >= least).sort((a, b) => b.score - a.score).map(one => one.section);
    return {found, terms};
  };

  /** Show the sections that answer the query of the page's address. */
  kans.search = (sections, vocabulary) => {
    const {words} = kans.page, place = document.getElementById("search-results");
    const query = new URLSearchParams(location.search).get("q") ?? "", {found, terms} = kans.ranked(sections, vocabulary, query);
    document.querySelector(".kans-search [name=q]").value = query;
    if (!terms.length) return;
    const said = found.length ? kans.fill(words.found, {count: found.length}) : kans.fill(words.not_found, {query});
    place.replaceChildren(
      kans.make("p", {role: "status"}, said),
      kans.make("ul", {class: "search"}, ...found.slice(0, MOST_SHOWN).map(one => result(one, terms))),
    );
  };
})();
