// The Run tab: Gradio's form above, below it the run that is shown.
(() => {
  "use strict";
  const P = window.parlance;
  const { el, button, made } = P;
  let root = null;
  let unsaved = null;
  let facts = null;
  let graph = null;
  let body = null;
  let asks = null;
  let list = null;
  let asked = "";

  // The form is made when the tab is open, once per version and once more after a run began elsewhere. What somebody
  // typed into it stands in the next one too, whoever made the version; defaults that nobody touched are the new ones.
  P.formKey = () => (asked === "{}" ? asked : JSON.stringify({ ...JSON.parse(asked), typed: kept || touched() }));
  let kept = null; // all of a form that is to run as it stands
  P.keepForm = (keeps) => (kept = keeps ? typed() : null);
  const typed = () => Object.fromEntries(P.$$('#pl-form [id^="pl-input-"]').flatMap((field) => {
    const control = controlOf(field);
    return control ? [[nameOf(field), valueOf(control)]] : [];
  }));
  const controlOf = (field) => P.$("textarea, input", field);
  const valueOf = (control) => (control.type === "checkbox" ? control.checked : control.value);
  const nameOf = (field) => field.id.slice("pl-input-".length);

  // What each field held when somebody first went into it.
  const about = () => `${P.conversation} ${P.workflow?.name}`;
  let first = { of: null, values: new Map() };
  const touched = () => {
    if (first.of !== about()) return null;
    return Object.fromEntries(Object.entries(typed()).filter(([name, value]) => first.values.has(name) && first.values.get(name) !== value));
  };
  const remember = (fields, value) => {
    if (first.of !== about()) first = { of: about(), values: new Map() };
    for (const field of fields) if (!first.values.has(nameOf(field))) first.values.set(nameOf(field), value(field));
  };
  const fieldsIn = () => P.$$('#pl-form [id^="pl-input-"]').filter(controlOf);
  for (const kind of ["focusin", "pointerdown"]) {
    document.addEventListener(kind, (event) => {
      const field = event.target.closest?.('#pl-form [id^="pl-input-"]');
      if (field && controlOf(field)) remember([field], (each) => valueOf(controlOf(each)));
      if (event.target.closest?.("#pl-example")) remember(fieldsIn(), () => null); // an example is as good as typed
    }, true);
  }
  P.askForm = () => {
    if (!root) return;
    const key = P.workflow ? JSON.stringify({ conversation: P.conversation, version: `${P.workflow.name}@${P.workflow.version}`, server: P.server }) : "{}";
    if (key !== asked) {
      asked = key;
      P.push("form");
      P.estimate();
    }
  };

  P.parts.run = {
    mount(node) {
      root = node;
      unsaved = el("div", { class: "pl-unsaved" });
      facts = el("div", { class: "pl-run-facts" });
      graph = el("div", { class: "pl-run-graph" });
      body = el("div", { class: "pl-run-body" });
      asks = el("div", { class: "pl-run-asks", "aria-live": "polite" });
      list = el("div", { class: "pl-run-list" });
      node.replaceChildren(unsaved, P.estimateIn(), asks, facts, graph, body, list);
      P.graphIn(graph);
      P.askForm();
      this.unsaved();
      this.show();
    },
    unsaved() {
      unsaved?.replaceChildren(...P.unsavedIn());
    },
    show(justEnded) {
      if (!root) return;
      root.classList.toggle("idle", !P.run);
      showList();
      const past = P.run?.ended && !P.isOfThisVersion(P.run);
      keepChildren(asks, P.run && !past ? P.questionsOf(P.run) : []);
      if (!P.workflow && !P.run) {
        facts.replaceChildren(el("div", { class: "pl-empty" }, el("h2", {}, "Nothing to run yet"), el("p", {}, "As soon as there is a workflow, its inputs are asked for here.")));
        return body.replaceChildren();
      }
      if (!P.run) {
        facts.replaceChildren();
        return body.replaceChildren();
      }
      if (past) return showEarlier(P.run);
      facts.replaceChildren(factsOf(P.run));
      showBody(P.run);
      if (justEnded) facts.focus?.();
    },
  };

  // Taking a node out and putting it back would take the cursor away from who is typing in it.
  const keepChildren = (node, children) => {
    if (children.length !== node.children.length || children.some((child, n) => child !== node.children[n])) node.replaceChildren(...children);
  };

  P.takeRuns = (runs) => {
    P.runs = runs;
    if (root) showList();
  };
  const showList = () => {
    const runs = P.runs || [];
    if (runs.length < 2) return list.replaceChildren();
    const open = P.$("details", list)?.open;
    list.replaceChildren(el("details", { class: "pl-runs", open },
      el("summary", {}, `All ${runs.length} runs of this conversation`),
      el("ul", {}, ...runs.map((run) =>
        el("li", {}, el("button", { type: "button", "aria-current": String(run.run_id === P.run?.run_id), onclick: () => P.act(`run:${run.run_id}`) },
          el("span", { class: `pl-dot ${run.status}` }), el("span", { class: "pl-title" }, run.workflow), el("span", { class: `pl-tag ${run.status}` }, run.word),
          el("span", { class: "pl-ago" }, [run.seconds, run.cost, P.ago(run.created_at)].filter(Boolean).join(" · "))))))));
  };

  // What ran says nothing of a workflow that was changed since: it stands below, closed, under its own version.
  const showEarlier = (run) => {
    const version = P.versionOf(run);
    const open = P.$(".pl-earlier-run", body)?.open ?? P.askedRun === run.run_id;
    facts.replaceChildren();
    body.replaceChildren(el("details", { class: "pl-earlier-run", open },
      el("summary", {}, el("span", { class: `pl-dot ${run.status}` }), `The last run was of ${version === null ? run.workflow : `version ${version}`}`),
      factsOf(run), ...bodyOf(run)));
  };

  const factsOf = (run) => {
    const active = !run.ended;
    const waits = active && ["waiting", "unknown"].includes(run.status) && run.questions.find((question) => question.open && question.asked_at);
    return el("div", {},
      el("div", { class: "pl-run-head", role: "status" },
        el("span", { class: `pl-dot ${run.status}` }), el("strong", {}, run.workflow), el("span", { class: `pl-tag ${run.status}` }, run.word),
        P.workflow && !P.isOfThisVersion(run) && P.versionOf(run) !== null && el("span", { class: "pl-tag" }, `version ${P.versionOf(run)}`),
        el("span", { class: "pl-grow" }),
        active && button("Cancel", { class: "pl-cancel", onclick: () => P.call("cancel", { run: run.run_id }) }, "stop"),
        run.ended && Object.keys(run.raw_outputs).length > 0 && P.copyButton("Copy the outputs", () => P.outputsAsText(run)),
        run.ended && Object.keys(run.raw_outputs).length > 0 && button("Download", { onclick: () => download(run), "aria-label": "Download the outputs as JSON" }, "down")),
      el("dl", { class: "pl-facts-list" },
        ...(waits ? fact("Waiting for", since(waits.asked_at)) : fact("Time", run.ended ? run.seconds : since(run.created_at))), ...fact("Tokens", run.tokens.replace(/ ?tokens ?/, "")), ...fact("Cost", run.cost), ...fact("Model", run.models),
        el("div", {}, el("dt", {}, "Run"), el("dd", { class: "pl-run-id" }, run.run_id.slice(0, 8), P.copyButton("Copy the id of this run", () => run.run_id)))));
  };

  // While the server is not heard of, nobody knows whether the run still goes on: the clock stands.
  const since = (begun) => {
    if ("plLost" in document.body.dataset) return P.$(".pl-facts-list dd", facts)?.textContent || "";
    return P.duration(Math.max(0, Math.floor((Date.now() - new Date(begun || Date.now())) / 1000)) || 0).replace(/\.0 s$/, " s");
  };
  setInterval(() => {
    if (!root || !P.run || P.run.ended || !root.offsetParent || "plLost" in document.body.dataset) return;
    facts.replaceChildren(factsOf(P.run));
    if (P.$(".pl-nodes", body)?.open && !body.contains(document.activeElement)) showBody(P.run);
  }, 1000);

  const fact = (name, value) => (value ? [el("div", {}, el("dt", {}, name), el("dd", {}, value))] : []);

  const showBody = (run) => body.replaceChildren(...bodyOf(run));
  const bodyOf = (run) => {
    const open = P.$(".pl-nodes", body)?.open;
    const parts = [];
    if (run.error) parts.push(el("div", { class: "pl-run-error", role: "alert" }, run.error));
    if (/The budget of .* (does not allow|can't be kept)/.test(run.error || "")) parts.push(overBudget(run));
    for (const words of run.warnings) parts.push(el("div", { class: "pl-run-warning" }, words));
    if (run.outputs.length) parts.push(el("div", { class: "pl-outcome" }, ...run.outputs.map((output) => outputOf(run, output))));
    if (run.nodes.length) parts.push(P.timeline(run, open ?? run.status === "failed"));
    return parts;
  };

  const overBudget = (run) =>
    el("div", { class: "pl-newer pl-over-budget" }, el("span", {}, `It stopped before a call that could have passed its budget. ${run.cost && run.cost !== "unknown" ? `Until then it cost ${run.cost}.` : "Nothing more was spent."}`),
      button("Change the budget", { onclick: () => { const field = P.$(".pl-run-budget"); field.scrollIntoView({ block: "center" }); field.focus(); field.select(); } }));

  // A long output shows its beginning; all of it comes as plain text, which stays quick however long it is.
  const outputOf = (run, output) => {
    const shown = made("div", {}, output.html);
    if (!output.rest) return shown;
    const value = run.raw_outputs[output.name];
    const text = typeof value === "string" ? value : JSON.stringify(value, null, 2);
    const whole = el("pre", { class: "pl-whole", tabindex: 0, "aria-label": `All of ${output.name}`, hidden: true });
    const words = el("span", {}, output.rest);
    const toggle = button("Show all", { onclick: () => {
      const all = whole.hidden;
      if (all) whole.textContent = text;
      whole.hidden = !all;
      shown.hidden = words.hidden = all;
      toggle.firstChild.textContent = all ? "Show less" : "Show all";
    } });
    const copy = button("Copy", { onclick: () => P.copy(copy, text), "aria-label": `Copy all of ${output.name}` }, "copy");
    return el("div", {}, shown, whole, el("div", { class: "pl-more" }, words, toggle, copy));
  };

  const download = (run) => {
    const blob = new Blob([JSON.stringify(run.raw_outputs, null, 2) + "\n"], { type: "application/json" });
    const link = el("a", { href: URL.createObjectURL(blob), download: `${run.workflow}-${run.run_id.slice(0, 8)}.json` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  };
})();
