// What a reader sees of the outputs of a notebook: cells with their figures, texts and marks, all in px of the window.
// `outputs`: the selector of an output, `cells`: that of a code cell.
({outputs, cells}) => {
  const FIGURE = ".kans-figure, .js-plotly-plot, svg[role=img], svg[role=group], img[src^='data:image/svg']"
  const seen = element => element.checkVisibility({opacityProperty: true, visibilityProperty: true})
  const box = rect => [rect.left, rect.top, rect.right, rect.bottom]
  const cut = (a, b) => [Math.max(a[0], b[0]), Math.max(a[1], b[1]), Math.min(a[2], b[2]), Math.min(a[3], b[3])]

  const once = compute => {
    const known = new Map()
    return element => {
      if (!known.has(element)) known.set(element, compute(element))
      return known.get(element)
    }
  }
  // the window through which an element can be seen: no scrolled or clipped box around it is smaller
  const EVERYTHING = [-1e9, -1e9, 1e9, 1e9]
  const pane = once(element => {
    if (!element || element.matches(outputs)) return EVERYTHING
    const outer = pane(element.parentElement)
    const clips = !(element instanceof SVGElement) && getComputedStyle(element).overflow !== "visible"
    return clips ? cut(outer, box(element.getBoundingClientRect())) : outer
  })
  const shown = (rect, element) => cut(rect, pane(element))
  const opacity = once(element => element ? opacity(element.parentElement) * getComputedStyle(element).opacity : 1)

  const texts = output => {
    const walker = document.createTreeWalker(output, NodeFilter.SHOW_TEXT), found = []
    while (walker.nextNode()) {
      const node = walker.currentNode, parent = node.parentElement
      if (!node.data.trim() || parent.closest("style, script, title, desc, option, textarea") || !seen(parent)) continue
      const style = getComputedStyle(parent), inSVG = parent instanceof SVGElement
      const scale = inSVG ? Math.hypot(parent.getScreenCTM().a, parent.getScreenCTM().b) : 1
      const range = document.createRange()
      range.selectNodeContents(node)
      for (const rect of range.getClientRects()) {
        const visible = shown(box(rect), parent)
        if (visible[2] - visible[0] < 3 || visible[3] - visible[1] < 3) continue
        found.push({
          words: node.data.trim().slice(0, 60), box: visible, size: parseFloat(style.fontSize) * scale,
          colour: inSVG ? style.fill : style.color, opacity: opacity(parent), svg: inSVG,
        })
      }
    }
    return found
  }

  const marks = figure => [...figure.querySelectorAll("path, rect, circle, line, polygon")].flatMap(mark => {
    if (mark.closest("defs, marker, pattern, clipPath, .js-plotly-plot") || !seen(mark)) return []
    const style = getComputedStyle(mark), whole = opacity(mark)
    const stroked = style.stroke !== "none" && parseFloat(style.strokeWidth) > 0
    const [colour, alpha] = stroked ? [style.stroke, style.strokeOpacity] : [style.fill, style.fillOpacity]
    if (colour === "none" || whole * alpha < 0.6) return []
    return [{name: mark.outerHTML.slice(0, 120), box: shown(box(mark.getBoundingClientRect()), mark), colour}]
  })

  return [...document.querySelectorAll(cells)].map(cell => ({
    outputs: [...cell.querySelectorAll(outputs)].map(output => {
      const figures = [...output.querySelectorAll(FIGURE)].filter(
        one => !one.parentElement.closest(FIGURE) && seen(one) && one.getBoundingClientRect().width > 100
          && one.getBoundingClientRect().height > 30)
      figures.forEach(one => one.setAttribute("data-gallery", ""))
      return {
        texts: texts(output),
        figures: figures.map(one => ({box: box(one.getBoundingClientRect()), marks: marks(one), texts: texts(one)})),
      }
    }),
  }))
}
