// The forms of exercises: every answer was judged when the page was made; here it is looked up, shown and recorded.
"use strict";
(() => {
  const kans = (globalThis.kans ??= {});
  kans.scripts = new URL("data/", document.currentScript.src); // where data is loaded from
  const {words, outcomes, guesses} = kans.page;
  const AHEAD = "800px"; // of the view: data is loaded when the reader gets that near

  kans.fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
  kans.numeral = (value, decimals) => value.toFixed(decimals).replace(".", kans.page.decimal_mark);
  kans.make = (name, attributes = {}, ...children) => {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children);
    return element;
  };

  // ── data ──────────────────────────────────────────────────────────────────────────────────────────────────
  const loaded = new Map(), waiting = new Map();
  globalThis.kansData = (name, data) => waiting.get(name)?.(data);

  /** Load a script with data, once; a script because a page from disk may not fetch. */
  kans.load = name => {
    if (!loaded.has(name)) {
      loaded.set(name, new Promise((resolve, reject) => {
        const script = kans.make("script", {src: new URL(`${name}.js`, kans.scripts)});
        waiting.set(name, resolve);
        script.addEventListener("error", () => {
          loaded.delete(name);
          script.remove();
          reject(new Error(kans.fill(words.not_loaded, {file: `${name}.js`})));
        });
        document.head.append(script);
      }));
    }
    return loaded.get(name);
  };

  /** Return the data of an element of the class kans-data. */
  kans.dataOf = async element =>
    element.dataset.script ? kans.load(element.dataset.script) : JSON.parse(element.textContent);

  /** Call back once, when an element is near the view or somebody reaches into it. */
  kans.whenNear = (element, callback) => {
    const begin = () => {
      watcher.disconnect();
      for (const name of ["focusin", "pointerdown"]) element.removeEventListener(name, begin);
      callback();
    };
    const watcher = new IntersectionObserver(seen => seen.some(one => one.isIntersecting) && begin(), {rootMargin: AHEAD});
    watcher.observe(element);
    for (const name of ["focusin", "pointerdown"]) element.addEventListener(name, begin);
  };

  // ── answers: the number of the one that a form holds, or what is missing ──────────────────────────────────
  const inputs = form => [...form.querySelectorAll("input")];
  const selects = form => [...form.querySelectorAll(".kans-part>select")];
  const keysOf = select => [...select.options].slice(1).map(option => option.value);

  const readers = {
    choice(form) {
      const place = inputs(form).findIndex(input => input.checked);
      return place < 0 ? {missing: words.choose} : {number: place};
    },
    names(form) {
      const number = inputs(form).reduce((sum, input, place) => sum + (input.checked ? 2 ** place : 0), 0);
      return number ? {number} : {missing: words.tick};
    },
    number(form) {
      const [input] = inputs(form), {min, max, step} = input;
      if (input.type === "range" && !("touched" in form.dataset)) return {missing: words.slide};
      if (input.value === "" && !input.validity.badInput) return {missing: words.write};
      const steps = (input.valueAsNumber - min) / step, number = Math.round(steps);
      const fits = Math.abs(steps - number) < 1e-6 && number >= 0 && number <= Math.round((max - min) / step);
      const [low, high, size] = [min, max, step].map(one => one.replace(".", kans.page.decimal_mark));
      return fits ? {number} : {missing: kans.fill(words.number, {low, high, step: size})};
    },
    diagnosis(form, sheet) {
      const lists = selects(form);
      if (!sheet.diagnosis.made.size) return {missing: words.look_first};
      const missing = lists.filter(select => !select.value).map(select => select.name);
      if (missing.length) return {missing: kans.fill(words.choose_parts, {parts: missing.join(kans.page.list_separator)})};
      const number = lists.reduce((sum, select) => {
        const keys = keysOf(select);
        return sum * keys.length + keys.indexOf(select.value);
      }, 0);
      return {number, isUnasked: !sheet.diagnosis.made.has(lists.at(-1).value)};
    },
  };

  /** Put an answer into a form, by its number; into a diagnosis only once its sheet is there. */
  const writers = {
    choice: (form, number) => { inputs(form)[number].checked = true; },
    names: (form, number) => inputs(form).forEach((input, place) => { input.checked = (number >> place) & 1; }),
    number(form, number) {
      const [input] = inputs(form);
      input.value = Number((Number(input.min) + number * input.step).toFixed(6));
      input.dispatchEvent(new Event("input"));
    },
    diagnosis(form, number) {
      for (const select of selects(form).reverse()) {
        const keys = keysOf(select);
        select.value = keys[number % keys.length];
        number = Math.floor(number / keys.length);
      }
    },
  };

  // ── what the reader answered last, by form: kept in this browser, and no part of the progress ─────────────
  const KEPT = "kanslib-answers";
  function kept() {
    try {
      return JSON.parse(localStorage.getItem(KEPT)) ?? {};
    } catch { // a browser that keeps nothing
      return {};
    }
  }
  function keep(key, answer) {
    try {
      localStorage.setItem(KEPT, JSON.stringify({...kept(), [key]: answer}));
    } catch { /* a browser that keeps nothing */ }
  }

  /** Return the verdict on an answer by its number: whether it is right, its misconception, its head and its lines. */
  kans.judge = (sheet, number, isUnasked = false) => {
    const [right, idea, head, lines] = sheet.verdicts[(isUnasked ? sheet.diagnosis.unasked : sheet.answers)[number]];
    return {isRight: right === 1, idea, head: sheet.texts[head] ?? "", lines: lines.map(line => sheet.texts[line])};
  };

  // ── a form ────────────────────────────────────────────────────────────────────────────────────────────────
  class Form {
    constructor(form) {
      this.form = form;
      this.name = form.dataset.exercise;
      this.isGuess = "guess" in form.dataset;
      this.feedback = form.querySelector(".kans-feedback");
      this.hintsGiven = 0;
      this.hasNamedPlace = false;
      this.key = (this.isGuess ? "guess:" : "") + this.name;
      this.answer = kept()[this.key];
      this.buttons();
      this.showState();
      document.addEventListener("kans-progress", () => this.showState());
      form.addEventListener("submit", event => {
        event.preventDefault();
        this.act(this.isGuess ? this.writeDown : this.check);
      });
      form.querySelector("[name=hint]")?.addEventListener("click", () => this.act(this.hint));
      form.querySelector("[name=solution]")?.addEventListener("click", () => this.act(this.solution));
      form.querySelector("[name=ask]")?.addEventListener("click", () => this.act(this.ask));
      if (form.dataset.kind === "number") this.watchSlider();
      if (this.answer) this.restore();
      if (!this.isGuess && this.element?.dataset.script) kans.whenNear(form, () => this.sheet().catch(() => {}));
    }

    buttons() {
      this.form.querySelector(".kans-buttons").hidden = false;
      this.form.querySelector(".kans-paper-solution")?.setAttribute("hidden", "");
    }

    /** The element with the data: of the form, or of the later cell that shows the answer. */
    get element() {
      const later = `[data-result="${CSS.escape(this.name)}"] .kans-data`;
      return this.form.querySelector(":scope>.kans-data") ?? document.querySelector(later);
    }

    async sheet() {
      if (this.found) return this.found;
      if (this.element?.dataset.script) this.say({lines: [words.loading]});
      const sheet = await kans.dataOf(this.element);
      if (this.feedback.textContent === words.loading) this.say({lines: []});
      if (sheet.diagnosis) sheet.diagnosis.made = new Set(sheet.diagnosis.asked);
      this.found = sheet;
      this.offer();
      return sheet;
    }

    async act(action) {
      try {
        await action.call(this);
      } catch (error) {
        this.say({lines: [error.message]});
      }
    }

    async check() {
      const sheet = await this.sheet(), answer = readers[this.form.dataset.kind](this.form, sheet);
      if (answer.missing) return this.say({head: words.not_answered, lines: [answer.missing]});
      const verdict = kans.judge(sheet, answer.number, answer.isUnasked);
      this.remember({...answer, asked: [...(sheet.diagnosis?.made ?? [])]});
      this.tell(verdict, kans.progress.recordTry(this.name, verdict.isRight, verdict.idea));
    }

    tell(verdict, outcome) {
      const [sign, state, colour] = outcomes[outcome];
      this.mark(this.chosen(), verdict.isRight);
      this.say({head: `${sign} ${state}`, lines: verdict.lines, colour});
    }

    remember(answer) {
      this.answer = answer;
      keep(this.key, answer);
    }

    /** Show the answer of an earlier visit; what was said to it, once the reader gets near. */
    restore() {
      const {kind} = this.form.dataset, {number, isUnasked, asked, isSettled} = this.answer;
      if (kind !== "diagnosis") writers[kind](this.form, number);
      if (this.isGuess && !isSettled) return this.act(this.writeDown);
      kans.whenNear(this.form, () => this.act(async () => {
        const sheet = await this.sheet();
        if (this.isGuess) return this.tellGuess(sheet, number);
        for (const query of asked) sheet.diagnosis?.made.add(query);
        this.offer();
        if (kind === "diagnosis") writers[kind](this.form, number);
        const verdict = kans.judge(sheet, number, isUnasked), {outcome} = kans.progress.of(this.name);
        this.tell(verdict, verdict.isRight && outcome !== "not tried" ? outcome : verdict.isRight ? "right" : "wrong");
      }));
    }

    async writeDown() {
      const place = document.querySelector(`[data-result="${CSS.escape(this.name)}"]`);
      const answer = readers[this.form.dataset.kind](this.form, null);
      if (answer.missing) return this.say({head: words.not_answered, lines: [answer.missing]});
      this.unmark();
      this.guess = answer.number;
      this.remember(answer);
      this.showState();
      this.say({head: words.your_prediction, lines: [words.written_down]});
      if (!place) return;
      this.watcher?.disconnect();
      this.watcher = new IntersectionObserver(seen => {
        if (seen.some(one => one.isIntersecting)) {
          this.watcher.disconnect();
          this.act(() => this.settle(place.querySelector(".kans-result")));
        }
      }, {rootMargin: "0px 0px -15% 0px"});
      place.querySelector(".kans-result").textContent = "\u00a0"; // an empty place is never seen
      this.watcher.observe(place);
    }

    /** The cell below has answered: show there, and in the form, what came of the guess. */
    async settle(place) {
      const sheet = await this.sheet(), verdict = kans.judge(sheet, this.guess);
      kans.progress.recordTry(this.name, verdict.isRight, verdict.idea);
      this.remember({number: this.guess, isSettled: true});
      this.guess = undefined;
      show(place, this.tellGuess(sheet, this.answer.number));
    }

    /** Show in the form what came of a guess; return the words. */
    tellGuess(sheet, number) {
      const {isRight, head, lines} = kans.judge(sheet, number), colour = outcomes[isRight ? "right" : "wrong"][2];
      this.mark(this.chosen(), isRight);
      this.mark(sheet.solution.right, true);
      this.showState();
      this.say({head, lines, colour});
      return {head, lines, colour};
    }

    async hint() {
      const sheet = await this.sheet(), place = this.hasNamedPlace ? null : this.unseenPlace(sheet.diagnosis);
      if (place) {
        this.hasNamedPlace = true;
        kans.progress.recordHelp(this.name, {hints: 1});
        return this.say(place);
      }
      const number = Math.min(this.hintsGiven++, sheet.hints.length - 1);
      kans.progress.recordHelp(this.name, {hints: number + 1});
      this.say(sheet.hints[number]);
    }

    /** The hint of a place where the cause shows and the reader has not looked, before one where it shows was seen. */
    unseenPlace(diagnosis) {
      if (!diagnosis || diagnosis.proofs.some(query => diagnosis.made.has(query))) return null;
      return diagnosis.places.find(([, queries]) => !queries.some(query => diagnosis.made.has(query)))?.[0];
    }

    async solution() {
      const {solution} = await this.sheet();
      kans.progress.recordHelp(this.name, {saw_solution: true});
      this.mark(solution.right, true);
      this.say({...solution.words, colour: outcomes.right[2]});
    }

    chosen() {
      return inputs(this.form).filter(input => input.checked).map(input => input.value);
    }

    /** Mark choices as right or wrong; of names only a right answer is marked. */
    mark(keys, isRight) {
      const {kind} = this.form.dataset;
      if (kind === "names") this.unmark();
      if (kind !== "choice" && !(kind === "names" && isRight)) return;
      for (const option of this.form.querySelectorAll(".kans-option")) {
        if (!keys.includes(option.querySelector("input").value)) continue;
        option.classList.toggle("kans-right", isRight);
        option.classList.toggle("kans-wrong", !isRight);
        option.querySelector(".kans-mark").textContent = ` ${isRight ? words.right : words.not_right}`;
      }
    }

    unmark() {
      for (const option of this.form.querySelectorAll(".kans-option")) {
        option.classList.remove("kans-right", "kans-wrong");
        option.querySelector(".kans-mark").textContent = "";
      }
    }

    say(feedback) {
      show(this.feedback, feedback);
    }

    showState() {
      const chip = this.form.querySelector(".kans-state"), {outcome} = kans.progress.of(this.name);
      const isNew = outcome === "not tried";
      const guess = this.guess !== undefined ? guesses.written : isNew ? guesses[""] : guesses[outcome];
      const isForgotten = outcome === "wrong" && !this.answer; // it came by a token: there is nothing to show with it
      const [sign, state, colour] = isForgotten
        ? ["", words.tried_before, outcomes["not tried"][2]]
        : (this.isGuess && guess) || outcomes[outcome];
      chip.textContent = `${sign} ${state}`.trim();
      chip.style.borderColor = colour;
    }

    watchSlider() {
      const [input] = inputs(this.form), readout = this.form.querySelector(".kans-readout");
      if (input.type !== "range") return;
      const unit = this.form.querySelector(".kans-amount").dataset.unit, decimals = input.step >= 1 ? 0 : 1;
      input.addEventListener("input", () => {
        this.form.dataset.touched = "";
        readout.textContent = `${kans.numeral(input.valueAsNumber, decimals)} ${unit}`;
      });
    }

    /** Make the query that the reader has chosen: show its answer, and offer what it can have shown. */
    async ask() {
      const box = this.form.querySelector(".kans-query"), place = box.querySelector(".kans-query-answer");
      const {value} = box.querySelector("select");
      if (!value) return place.replaceChildren(words.choose);
      const [sheet, answers] = [await this.sheet(), await kans.dataOf(box.querySelector(".kans-data"))];
      const [, evidence, html] = answers[value];
      place.innerHTML = html;
      sheet.diagnosis.made.add(evidence);
      this.offer();
    }

    /** Offer in each part of a diagnosis what the queries so far can have shown. */
    offer() {
      const {diagnosis} = this.found;
      if (!diagnosis) return;
      this.form.querySelector(".kans-note").textContent = diagnosis.made.size ? "" : words.look_first;
      for (const select of selects(this.form)) {
        const offered = new Set([...diagnosis.made].flatMap(query => diagnosis.offers[query]?.[select.name] ?? []));
        for (const option of [...select.options].slice(1)) {
          option.hidden = option.disabled = !offered.has(option.value);
        }
      }
    }
  }

  /** Show a feedback beside a bar, line by line; code below it. */
  function show(place, {head = "", lines, code = "", colour = outcomes["not tried"][2]}) {
    place.replaceChildren();
    place.style.borderColor = colour;
    if (head) place.append(kans.make("b", {}, head), kans.make("br"));
    lines.forEach((line, number) => place.append(...(number ? [kans.make("br")] : []), line));
    if (code) place.append(kans.make("pre", {tabindex: 0}, code));
  }

  document.addEventListener("DOMContentLoaded", () => {
    for (const form of document.querySelectorAll(".kans-ask")) new Form(form);
  });
})();
