// What scrolls sideways can be reached with the Tab key, and only that.
{
  const SCROLLERS = ".highlight pre, .cell_output .output, .table-wrapper, .kans-gallery figure"
  const mark = () => document.querySelectorAll(SCROLLERS).forEach(one => {
    if (one.scrollWidth > one.clientWidth) one.tabIndex = 0
    else one.removeAttribute("tabindex")
  })
  const later = globalThis.requestIdleCallback ?? setTimeout
  addEventListener("load", () => later(mark))
  addEventListener("resize", () => later(mark))
}
