// Lay out what the first view left out: a link to a place in the page needs every height above that place.
(globalThis.requestIdleCallback ?? setTimeout)(() => document.body.classList.add("kans-whole"))

// What scrolls sideways can be reached with the Tab key, and only that.
{
  const SCROLLERS = ".highlight pre, .cell_output .output, .table-wrapper, .kans-gallery figure"
  // told of each box once it has been laid out, and of each change: asking for a size here would lay out the whole page
  const sizes = new ResizeObserver(changes => {
    for (const {target} of changes) {
      if (target.scrollWidth > target.clientWidth) target.tabIndex = 0
      else target.removeAttribute("tabindex")
    }
  })
  for (const one of document.querySelectorAll(SCROLLERS)) sizes.observe(one)
}
// The list of sections covers the page on a phone: a tap on one of them closes it.
document.querySelector(".toc-drawer")?.addEventListener("click", event => {
  if (event.target.closest("a")) document.getElementById("__toc").checked = false
})
