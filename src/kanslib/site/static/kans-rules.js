// Rules in pictures: pointed at, tapped or reached with the Tab key they show what their tool prints (plain CSS); Escape
// hides it again. A drawing is one stop of the Tab key, as a toolbar is; the arrow keys go from rule to rule.
"use strict";
(() => {
  const kans = (globalThis.kans ??= {});
  const HIDDEN = "kans-hidden";
  const rules = svg => [...svg.querySelectorAll(".kans-rule")];

  document.addEventListener("keydown", event => {
    if (event.key === "Escape") {
      for (const rule of document.querySelectorAll(".kans-rule:is(:hover,:focus)")) rule.classList.add(HIDDEN);
    }
    const step = {ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1}[event.key];
    const rule = step && event.target.closest?.(".kans-rule");
    if (!rule) return;
    event.preventDefault();
    const all = rules(rule.ownerSVGElement);
    const next = all[all.indexOf(rule) + step];
    if (!next) return;
    rule.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  });

  /** Leave one stop of the Tab key in a drawing. */
  kans.oneStop = svg => rules(svg).forEach((rule, place) => { rule.tabIndex = place ? -1 : 0; });
  document.addEventListener("DOMContentLoaded", () => {
    for (const svg of new Set([...document.querySelectorAll(".kans-rule")].map(rule => rule.ownerSVGElement))) kans.oneStop(svg);
  });

  const showAgain = event => {
    const left = event.target.closest?.(`.${HIDDEN}`);
    if (left && !left.contains(event.relatedTarget)) left.classList.remove(HIDDEN);
  };
  document.addEventListener("pointerout", showAgain);
  document.addEventListener("focusout", showAgain);
})();
