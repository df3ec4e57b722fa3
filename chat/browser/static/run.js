// The Run tab: Gradio's form above, below it the run that is shown.
(() => {
  "use strict";
  const P = window.parlance;
  const { el, button, made } = P;
  let root = null;
  let facts = null;
  let graph = null;
  let body = null;
  let asked = "";

  // The form is made when the tab is open, once per version and once more after a run began elsewhere.
  P.formKey = () => asked;
  P.askForm = () => {
    if (!root) return;
    const key = P.workflow ? JSON.stringify({ conversation: P.conversation, version: `${P.workflow.name}@${P.workflow.version}`, server: P.server }) : "{}";
    if (key !== asked) {
      asked = key;
      P.push("form");
    }
  };

  P.parts.run = {
    mount(node) {
      root = node;
      facts = el("div", { class: "pl-run-facts" });
      graph = el("div", { class: "pl-run-graph" });
      body = el("div", { class: "pl-run-body" });
      node.replaceChildren(facts, graph, body);
      P.graphIn(graph);
      P.askForm();
      this.show();
    },
    show(justEnded) {
      if (!root) return;
      root.classList.toggle("idle", !P.run);
      if (!P.workflow && !P.run) {
        facts.replaceChildren(el("div", { class: "pl-empty" }, el("h2", {}, "Nothing to run yet"), el("p", {}, "As soon as there is a workflow, its inputs are asked for here.")));
        return body.replaceChildren();
      }
      if (!P.run) {
        facts.replaceChildren();
        return body.replaceChildren();
      }
      showFacts(P.run);
      showBody(P.run);
      if (justEnded) facts.focus?.();
    },
  };

  const showFacts = (run) => {
    const active = !run.ended;
    facts.replaceChildren(
      el("div", { class: "pl-run-head", role: "status" },
        el("span", { class: `pl-dot ${run.status}` }), el("strong", {}, run.workflow), el("span", { class: `pl-tag ${run.status}` }, run.word),
        el("span", { class: "pl-grow" }),
        active && button("Cancel", { class: "pl-cancel", onclick: () => P.call("cancel", { run: run.run_id }) }, "stop"),
        run.ended && Object.keys(run.raw_outputs).length > 0 && button("Download", { onclick: () => download(run), "aria-label": "Download the outputs as JSON" }, "down")),
      el("dl", { class: "pl-facts-list" },
        ...fact("Time", run.ended ? run.seconds : since(run)), ...fact("Tokens", run.tokens), ...fact("Cost", run.cost), ...fact("Model", run.models)));
  };

  const since = (run) => `${Math.max(0, Math.round((Date.now() - new Date(run.created_at || Date.now())) / 1000))} s`;
  setInterval(() => root && P.run && !P.run.ended && root.offsetParent && showFacts(P.run), 1000);

  const fact = (name, value) => (value ? [el("div", {}, el("dt", {}, name), el("dd", {}, value))] : []);

  const showBody = (run) => {
    const open = P.$(".pl-nodes", body)?.open;
    const parts = [];
    if (run.error) parts.push(el("div", { class: "pl-run-error", role: "alert" }, run.error));
    if (run.outputs.length) parts.push(made("div", { class: "pl-outcome" }, run.outputs.join("")));
    if (run.nodes.length) parts.push(nodes(run, open ?? run.status === "failed"));
    body.replaceChildren(...parts);
  };

  const nodes = (run, open) =>
    el("details", { class: "pl-nodes", open },
      el("summary", {}, `${run.nodes.length} step${run.nodes.length === 1 ? "" : "s"}`),
      el("table", {},
        el("thead", {}, el("tr", {}, ...["Step", "Time", "Tokens", "Cost", "Model"].map((name) => el("th", { scope: "col" }, name)))),
        el("tbody", {}, ...run.nodes.flatMap(nodeRows))));

  const nodeRows = (node) => {
    const more = [node.visit > 1 && `visit ${node.visit}`, node.attempt > 1 && `attempt ${node.attempt}`].filter(Boolean).join(", ");
    const rows = [
      el("tr", {},
        el("th", { scope: "row" }, el("span", { class: `pl-dot ${node.status}`, title: node.status }), el("span", { class: "pl-unseen" }, node.status), node.id, more && el("span", { class: "pl-faint" }, ` ${more}`)),
        el("td", {}, node.seconds), el("td", {}, node.tokens), el("td", {}, node.cost), el("td", {}, node.model)),
    ];
    if (node.error) rows.push(el("tr", { class: "error" }, el("td", { colspan: 5 }, node.error)));
    return rows;
  };

  const download = (run) => {
    const blob = new Blob([JSON.stringify(run.raw_outputs, null, 2) + "\n"], { type: "application/json" });
    const link = el("a", { href: URL.createObjectURL(blob), download: `${run.workflow}-${run.run_id.slice(0, 8)}.json` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  };
})();
