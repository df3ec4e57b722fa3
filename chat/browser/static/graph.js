// The graph, its live colours, and what the workflow's tabs have in common.
(() => {
  "use strict";
  const P = window.parlance;
  const { el } = P;
  const places = new Set();

  P.tab = "graph";
  P.tabValue = () => ({ __type__: "update", selected: P.tab });
  P.show = (tab) => {
    P.tab = tab;
    P.push("tab");
    P.pane("work");
  };

  P.takeWorkflow = (workflow) => {
    P.workflow = workflow;
    document.body.toggleAttribute("data-pl-workflow", !!workflow);
    places.forEach(draw);
    P.takeYaml(workflow);
    P.parts.versions.show();
    P.parts.run.show();
    P.askForm();
  };

  P.takeRun = (run) => {
    const same = P.run && JSON.stringify(P.run) === JSON.stringify(run);
    const ended = P.run && run && !P.run.ended && run.ended && P.run.run_id === run.run_id;
    P.run = run;
    document.body.toggleAttribute("data-pl-running", !!run && !run.ended && run.status === "running");
    places.forEach(colour);
    if (!same) P.parts.run.show(ended); // what is being clicked is not built anew for nothing
  };

  const nothing = () =>
    el("div", { class: "pl-empty" },
      P.made("div", { class: "pl-ghost", "aria-hidden": "true" }, ghost),
      el("h2", {}, "No workflow yet"),
      el("p", {}, "Say in the chat what should happen. The steps are drawn here, and you can run them from here."));

  const ghost =
    '<svg viewBox="0 0 220 170" width="220" height="170"><g fill="none" stroke="currentColor" stroke-width="1.5" stroke-dasharray="4 4"><rect x="65" y="8" width="90" height="36" rx="9"/><rect x="8" y="72" width="90" height="36" rx="9"/><rect x="122" y="72" width="90" height="36" rx="9"/><rect x="65" y="132" width="90" height="36" rx="9"/><path d="M110 44C110 58 53 58 53 72M110 44C110 58 167 58 167 72M53 108C53 120 110 120 110 132M167 108C167 120 110 120 110 132"/></g></svg>';

  const draw = (root) => {
    const small = root.classList.contains("pl-run-graph");
    if (!P.workflow) {
      delete root.dataset.svg;
      return root.replaceChildren(...(small ? [] : [nothing()]));
    }
    if (root.dataset.svg === P.workflow.name + P.workflow.version && root.firstChild) return colour(root);
    root.dataset.svg = P.workflow.name + P.workflow.version;
    // Two pictures of one workflow must not share ids: each place gets its own.
    const id = P.workflow.svg.match(/ id="(g[0-9a-f]+)"/)[1];
    const markup = small ? P.workflow.svg.replaceAll(id, `${id}s`) : P.workflow.svg;
    const head = el("div", { class: "pl-work-head" }, el("strong", {}, P.workflow.name), el("span", { class: "pl-tag" }, `version ${P.workflow.version}`),
      P.workflow.verdict && el("button", { type: "button", class: `pl-tag ${P.workflow.ok ? "waiting" : "failed"}`, onclick: () => P.show("yaml") }, P.workflow.verdict));
    const picture = P.made("div", { class: "pl-picture", tabindex: 0, role: "region", "aria-label": "Graph" }, markup);
    root.replaceChildren(...(small ? [] : [head]), el("div", { class: "pl-canvas" }, picture, P.zoom(picture)));
    colour(root);
  };

  // Which version a run is about: the newest one that was there when it began; null for another workflow's.
  P.versionOf = (run) => {
    if (!P.workflow || ![P.workflow.name, P.workflow.flow].includes(run.workflow)) return null;
    if (!run.created_at) return P.workflow.version;
    return P.workflow.versions.find((version) => version.created_at <= run.created_at)?.version ?? null;
  };
  const isOfThisVersion = (run) => run && P.workflow && P.versionOf(run) === P.workflow.version;
  P.isOfThisVersion = isOfThisVersion;

  const colour = (root) => {
    const about = isOfThisVersion(P.run) ? P.run : null;
    const latest = new Map((about?.nodes || []).map((node) => [node.id, node]));
    // A step whose element or call waits for a person waits itself.
    for (const part of about?.nodes || []) {
      const step = latest.get(part.id.split(/[[/]/)[0]);
      if (step && step !== part && step.status === "running" && ["waiting", "unknown"].includes(part.status)) latest.set(step.id, { ...step, status: part.status });
    }
    for (const node of root.querySelectorAll("[data-node]")) {
      const now = latest.get(node.dataset.node);
      const status = now?.status || "";
      if (node.dataset.status !== status) {
        node.dataset.status = status;
        const label = node.getAttribute("aria-label").replace(/, [^,]*$/, "");
        node.setAttribute("aria-label", `${label}, ${status || "not started"}`);
      }
      node.querySelector(".visits").textContent = ["waiting", "unknown"].includes(status) ? "?" : now?.visit > 1 ? `×${now.visit}` : "";
    }
  };

  const pick = (event) => {
    const node = event.target.closest("[data-line]");
    if (!node || (event.type === "keydown" && event.key !== "Enter" && event.key !== " ")) return;
    event.preventDefault();
    if (event.pointerType === "touch") P.whyTapped(node);
    else P.jump(Number(node.dataset.line));
  };

  P.graphIn = (root) => {
    places.forEach((place) => place.isConnected || places.delete(place));
    places.add(root);
    root.addEventListener("click", pick);
    root.addEventListener("keydown", pick);
    draw(root);
  };

  P.parts.graph = { mount: (root) => (root.classList.add("pl-graph"), P.graphIn(root)) };
})();
