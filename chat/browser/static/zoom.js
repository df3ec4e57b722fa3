// The size of a graph: fitted to the width at first, larger and smaller by buttons, keys, and the wheel with Ctrl.
(() => {
  "use strict";
  const P = window.parlance;
  const { el, icon } = P;
  const SMALLEST = 0.1;
  const LARGEST = 3;
  const READABLE = 0.6; // what is fitted at first is not made smaller than this: scroll instead
  const STEP = 1.25;

  // The controls for a picture whose first child is an SVG with its natural size as attributes.
  P.zoom = (picture) => {
    const svg = picture.firstElementChild;
    const [width, height] = ["width", "height"].map((name) => Number(svg.getAttribute(name)));
    let chosen = null; // null: fitted
    let whole = false; // fitted however small it gets
    let now = 0; // not drawn yet

    const fitted = () => {
      const style = getComputedStyle(picture);
      const room = picture.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
      const fit = Math.min(1, Math.max(room, 60) / width);
      return whole ? Math.max(SMALLEST, fit) : Math.max(READABLE, fit);
    };
    // What is at (x, y) of the view stays there.
    const apply = (x = picture.clientWidth / 2, y = picture.clientHeight / 2) => {
      if (!picture.clientWidth) return;
      const next = chosen ?? fitted();
      const [left, top] = now ? [(picture.scrollLeft + x) / now, (picture.scrollTop + y) / now] : [width / 2, 0];
      svg.style.width = `${Math.round(width * next)}px`;
      svg.style.height = `${Math.round(height * next)}px`;
      if (next !== now) picture.scrollTo(left * next - x, now ? top * next - y : 0);
      now = next;
      shown.textContent = `${Math.round(now * 100)} %`;
      picture.dataset.zoom = now.toFixed(2);
    };
    const by = (factor, ...at) => {
      chosen = Math.min(LARGEST, Math.max(SMALLEST, now * factor));
      apply(...at);
    };
    const fit = () => ((chosen = null), (whole = true), apply());
    const reset = () => ((chosen = 1), apply());

    const shown = el("button", { type: "button", class: "pl-zoom-now", title: "Its own size", "aria-label": "Show the graph in its own size", onclick: reset });
    const act = (name, text, work) => el("button", { type: "button", title: text, "aria-label": text, onclick: work }, icon(name));
    picture.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      const at = picture.getBoundingClientRect();
      by(Math.exp(-Math.max(-60, Math.min(60, event.deltaY)) / 200), event.clientX - at.left, event.clientY - at.top);
    }, { passive: false });
    picture.addEventListener("keydown", (event) => {
      const work = { "+": () => by(STEP), "=": () => by(STEP), "-": () => by(1 / STEP), 0: fit }[event.key];
      if (work && !event.ctrlKey && !event.metaKey && !event.altKey) (event.preventDefault(), work());
    });
    new ResizeObserver(() => chosen === null && apply()).observe(picture);
    queueMicrotask(apply);
    return el("div", { class: "pl-zoom", role: "group", "aria-label": "Size of the graph" },
      act("minus", "Make the graph smaller", () => by(1 / STEP)), shown, act("plus", "Make the graph larger", () => by(STEP)), act("fit", "Fit the graph to the width", fit));
  };
})();
