// Two texts compared: rows below each other, or the old beside the new; what differs within a line is marked.
(() => {
  "use strict";
  const P = window.parlance;
  const { el } = P;
  const SIGNS = { add: "+", del: "−", same: " ", skip: "⋯" };

  const code = ({ text, marks }) => {
    const node = el("code", {});
    let at = 0;
    for (const [from, to] of marks) {
      node.append(text.slice(at, from), el("mark", {}, text.slice(from, to)));
      at = to;
    }
    node.append(text.slice(at));
    return node;
  };

  const unified = (rows) =>
    rows.map((row) =>
      el("div", { class: row.kind, role: "row" }, el("span", { class: "no", role: "cell" }, String(row.new ?? row.old ?? "")),
        el("span", { class: "sign", role: "cell" }, SIGNS[row.kind]), el("span", { class: "line", role: "cell" }, code(row))));

  // What went and what came stand beside each other, pair by pair.
  const paired = (rows) => {
    const pairs = [];
    for (let at = 0; at < rows.length;) {
      if (!["del", "add"].includes(rows[at].kind)) (pairs.push([rows[at], rows[at]]), at++);
      else {
        const [gone, come] = ["del", "add"].map((kind) => {
          const from = at;
          while (rows[at]?.kind === kind) at++;
          return rows.slice(from, at);
        });
        for (let n = 0; n < Math.max(gone.length, come.length); n++) pairs.push([gone[n] || null, come[n] || null]);
      }
    }
    return pairs;
  };
  const half = (row, side) => {
    if (!row) return [el("span", { class: "no none", role: "cell" }), el("span", { class: "line none", role: "cell" })];
    return [el("span", { class: `no ${row.kind}`, role: "cell" }, String(row[side] ?? "")), el("span", { class: `line ${row.kind}`, role: "cell" }, code(row))];
  };
  const beside = (rows) => paired(rows).map(([old, now]) => el("div", { role: "row" }, ...half(old, "old"), ...half(now, "new")));

  P.diffRows = (rows, split = false) => {
    if (!rows.some((row) => ["add", "del"].includes(row.kind))) return el("p", { class: "pl-diff-none" }, "Both texts are the same.");
    return el("div", { class: `pl-diff-rows ${split ? "split" : ""}`, role: "table", tabindex: 0, "aria-label": "Changed lines" }, ...(split ? beside(rows) : unified(rows)));
  };

  P.diffCounts = (rows) => {
    const count = (kind) => rows.filter((row) => row.kind === kind).length;
    return [el("span", { class: "add", title: "Lines that came" }, `+${count("add")}`), el("span", { class: "del", title: "Lines that went" }, `−${count("del")}`)];
  };

  // A dialog of its own, where there is room for two texts beside each other.
  P.diffDialog = (title, rows) => {
    const dialog = el("dialog", { class: "pl-dialog pl-diff-dialog", "aria-labelledby": "pl-diff-title", onclose: () => dialog.remove() },
      el("div", { class: "pl-dialog-head" }, el("h2", { id: "pl-diff-title" }, title), el("span", { class: "pl-diff-counts" }, ...P.diffCounts(rows)),
        el("button", { type: "button", class: "pl-icon-button", "aria-label": "Close", onclick: () => dialog.close() }, P.icon("close"))),
      P.diffRows(rows, true));
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
    document.body.append(dialog);
    dialog.showModal();
  };
})();
