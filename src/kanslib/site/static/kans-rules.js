// Rules in pictures: pointed at, tapped or reached with the Tab key they show what their tool prints (plain CSS); Escape
// hides it again, and the arrow keys go from rule to rule.
"use strict";
(() => {
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
    all[all.indexOf(rule) + step]?.focus();
  });

  const showAgain = event => {
    const left = event.target.closest?.(`.${HIDDEN}`);
    if (left && !left.contains(event.relatedTarget)) left.classList.remove(HIDDEN);
  };
  document.addEventListener("pointerout", showAgain);
  document.addEventListener("focusout", showAgain);
})();
