// The steps of a run over time: a bar for each row, the elements of a for_each below their step.
(() => {
  "use strict";
  const P = window.parlance;
  const { el } = P;
  const opened = new Set(); // steps whose elements are shown

  P.timeline = (run, open) => {
    const rows = run.nodes;
    const started = rows.map((node) => Date.parse(node.started_at)).filter(Number.isFinite);
    const ended = rows.map((node) => Date.parse(node.ended_at || node.started_at)).filter(Number.isFinite);
    const from = Math.min(...started, Date.parse(run.created_at) || Infinity);
    const to = Math.max(...ended, run.ended ? Date.parse(run.ended_at) || 0 : 0, from + 1);
    const scale = { from, length: Math.max(1, (run.ended ? to : Math.max(to, lastHeard())) - from) };
    const inner = rows.filter((node) => partOf(node));
    const outer = rows.filter((node) => !partOf(node));
    const numberOf = (part) => Number(part.id.match(/\[(\d+)\]/)?.[1] ?? 0);
    const stepsOf = (node) =>
      inner.filter((part) => partOf(part) === node.id && part.visit === node.visit).sort((a, b) => numberOf(a) - numberOf(b));
    const orphans = inner.filter((part) => !outer.some((node) => node.id === partOf(part) && node.visit === part.visit));
    const count = outer.length + orphans.length;
    return el("details", { class: "pl-nodes", open },
      el("summary", {}, `${count} step${count === 1 ? "" : "s"}`),
      el("table", {},
        el("thead", {}, el("tr", {}, ...["Step", "When", "Time", "Used"].map((name) => el("th", { scope: "col" }, name)))),
        el("tbody", {}, ...[...outer.flatMap((node) => stepRows(run, node, stepsOf(node), scale)), ...orphans.flatMap((node) => row(node, scale))])));
  };

  // While nothing is heard of the server, time does not go on.
  let heard = Date.now();
  const lastHeard = () => ("plLost" in document.body.dataset ? heard : (heard = Date.now()));

  // `node[3]` and `node/tool#1` are parts of `node`.
  const partOf = (node) => node.id.match(/^([^[/]+)[[/]/)?.[1];

  const stepRows = (run, node, parts, scale) => {
    const key = `${run.run_id} ${node.id} ${node.visit}`;
    const elements = new Set(parts.map((part) => part.id)).size;
    const shown = opened.has(key);
    const calls = node.kind === "subflow";
    const toggle = parts.length > 0 && el("button", { type: "button", class: "pl-parts", "aria-expanded": String(shown),
      onclick: () => (opened[shown ? "delete" : "add"](key), shown || !calls || load(run, node, key), P.parts.run.show()) }, `${elements} part${elements === 1 ? "" : "s"}`);
    const runs = below.get(key);
    const steps = calls && !parts.length && el("button", { type: "button", class: "pl-parts", "aria-expanded": String(shown),
      onclick: () => (opened[shown ? "delete" : "add"](key), shown || load(run, node, key), P.parts.run.show()) }, "its steps");
    return [...row(node, scale, toggle || steps), ...(shown ? parts.flatMap((part) => [...row(part, scale, null, "part"), ...stepsIn(runs, part, scale)]) : []), ...(shown && steps ? inside(runs, scale) : [])];
  };

  // The steps of a sub-workflow are those of other runs, asked for when somebody wants to see them.
  const below = new Map();
  const load = async (run, node, key) => {
    const answer = await P.call("below", { run: run.run_id, node: node.id }, { quiet: true });
    below.set(key, answer);
    P.parts.run.show();
  };
  const stepsOf = (child, scale, kind) => child.nodes.filter((node) => !partOf(node)).flatMap((node) => row(node, scale, null, kind));
  const stepsIn = (found, part, scale) => (found?.runs || []).filter((child) => child.path === part.id).flatMap((child) => stepsOf(child, scale, "part inner"));
  const inside = (found, scale) => {
    const said = (words) => [el("tr", { class: "part" }, el("td", { colspan: 4, class: "pl-faint" }, words))];
    if (!found) return said("Asking …");
    if (found.error) return said(found.error);
    if (!found.runs.length) return said("It has not begun.");
    return [...found.runs.flatMap((child) => [...(found.runs.length > 1 ? said(child.path) : []), ...stepsOf(child, scale, "part")]),
      ...(found.more ? said(`… and ${found.more} more`) : [])];
  };

  const row = (node, scale, toggle, kind) => {
    const more = [node.visit > 1 && `visit ${node.visit}`, node.attempt > 1 && `attempt ${node.attempt}`].filter(Boolean).join(", ");
    const used = [node.tokens, node.cost].filter(Boolean).join(" · ");
    const rows = [
      el("tr", { class: kind || null },
        el("th", { scope: "row" }, el("span", { class: `pl-dot ${node.status}`, title: node.status }), el("span", { class: "pl-unseen" }, node.status), node.id, more && el("span", { class: "pl-faint" }, ` ${more}`), toggle),
        el("td", { class: "pl-when" }, bar(node, scale)), el("td", {}, node.seconds), el("td", { title: node.model }, used)),
    ];
    if (node.error) rows.push(el("tr", { class: "error" }, el("td", { colspan: 4 }, node.error)));
    return rows;
  };

  const bar = (node, { from, length }) => {
    const begin = Date.parse(node.started_at);
    if (!Number.isFinite(begin)) return "";
    const end = node.ended_at ? Date.parse(node.ended_at) : from + length;
    const track = el("div", { class: "pl-bar", "aria-hidden": "true" }, el("i", { class: node.status }));
    track.firstChild.style.left = `${Math.min(99, (100 * (begin - from)) / length).toFixed(2)}%`;
    track.firstChild.style.width = `${Math.max(0, (100 * (end - begin)) / length).toFixed(2)}%`;
    return track;
  };
})();
