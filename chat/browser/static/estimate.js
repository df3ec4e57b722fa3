// What a run will take, before it: reckoned anew as the form is filled in; unknown is said to be unknown. And a
// budget, past which it stops.
(() => {
  "use strict";
  const P = window.parlance;
  const { el } = P;
  let root = null;
  let said = null;
  let latest = null;
  let number = 0;

  P.estimateIn = () => {
    said = el("div", { role: "status", "aria-live": "polite" });
    root = el("div", { class: "pl-estimate" }, said, budgetField());
    show();
    return root;
  };

  // --- the budget: kept as long as the page is open, for each workflow ---

  const budgets = new Map();
  const name = () => `${P.conversation} ${P.workflow?.name}`;
  P.budget = () => budgets.get(name()) || "";
  let field = null;
  const budgetField = () => {
    field = P.budgetField({ class: "pl-run-budget", oninput: () => (budgets.set(name(), field.value), show()) });
    return el("label", { class: "pl-budget" }, el("span", { class: "pl-faint" }, "Stop it at $"), field);
  };
  P.budgetField = (more) => el("input", { type: "text", inputmode: "decimal", placeholder: "no limit", maxlength: 12, "aria-label": "Budget of the run in US dollars", ...more });
  P.dollars = (text) => Number(text.trim().replace(/^\$/, "").replace(",", ".")) || null;

  // --- the estimate ---

  // What stands in Gradio's fields: text as it was typed, left out where nothing was.
  const inputs = () => {
    const found = {};
    for (const field of P.$$('#pl-form [id^="pl-input-"]')) {
      const control = P.$("textarea, input", field);
      if (!control) continue;
      const value = control.type === "checkbox" ? control.checked : control.value;
      if (value !== "") found[field.id.slice("pl-input-".length)] = value;
    }
    return found;
  };

  const about = () => (P.workflow && P.conversation ? `${P.conversation} ${P.workflow.name}@${P.workflow.version}` : null);
  const ask = P.later(500, async () => {
    const [mine, key] = [++number, about()];
    if (!key) return;
    const answer = await P.call("estimate", { conversation: P.conversation, inputs: inputs() }, { quiet: true });
    if (mine !== number || key !== about()) return;
    latest = { ...(answer.error ? { error: answer.error } : answer.estimate), key };
    show();
  });
  // Also for another workflow: what was said of the one before is gone at once.
  P.estimate = () => {
    if (latest?.key !== about()) (latest = null), show();
    ask();
  };
  document.addEventListener("input", (event) => event.target.closest?.("#pl-form") && ask());

  const fact = (name, value) => el("span", { class: value === "unknown" ? "unknown-value" : null }, el("span", { class: "pl-faint" }, `${name} `), value);
  P.estimateFacts = (found) => [fact("cost", found.cost), fact("tokens", found.tokens), fact("time", found.seconds)];
  // What a budget does to it, in words; nothing where it is never reached.
  P.overBudget = (found, typed) => {
    const own = P.dollars(typed);
    if (typed.trim() && !own) return "The budget has to be a sum in US dollars, as 0.50.";
    if (own && found.most_usd === null) return "What it costs is not known before; a model whose price is not known can’t be kept within a budget.";
    if (own && found.most_usd > own) return `It may cost more than that, and stops before it does.`;
    return found.over ? `That may be more than its budget of ${found.budget}; it stops there.` : "";
  };

  const show = () => {
    if (!root) return;
    root.hidden = !latest;
    if (document.activeElement !== field) field.value = P.budget();
    const open = P.$("details", said)?.open;
    if (!latest) return said.replaceChildren();
    if (latest.error) return said.replaceChildren(el("p", { class: "pl-faint" }, `What a run takes is unknown: ${latest.error}`));
    const over = P.overBudget(latest, P.budget());
    said.replaceChildren(
      el("details", { open },
        el("summary", {}, el("span", { class: "pl-estimate-name" }, "A run takes about"), ...P.estimateFacts(latest)),
        table(latest)),
      ...(over ? [el("p", { class: "pl-over" }, over)] : []),
      ...(latest.unknown.length ? [el("ul", { class: "pl-estimate-notes" }, ...latest.unknown.map((words) => el("li", {}, words)))] : []));
  };

  const table = (found) =>
    el("table", {},
      el("thead", {}, el("tr", {}, ...["Step", "Cost", "Tokens", "Calls", "Time"].map((name) => el("th", { scope: "col" }, name)))),
      el("tbody", {}, ...found.nodes.flatMap((node) => [
        el("tr", {}, el("th", { scope: "row", title: node.model }, node.id), ...[node.cost, node.tokens, node.calls, node.seconds].map((value) => el("td", {}, value))),
        ...(node.note ? [el("tr", { class: "note" }, el("td", { colspan: 5 }, node.note))] : [])])));

  // --- of a run that is offered in the chat ---

  P.offer = (data) => {
    const box = el("div", { class: "pl-worked pl-estimate" });
    P.call("estimate", { conversation: P.conversation, workflow: data.workflow, inputs: data.inputs }, { quiet: true }).then((answer) => {
      if (answer.error) return;
      const over = el("p", { class: "pl-over", role: "status" });
      const input = P.budgetField({ class: "pl-offer-budget", oninput: () => (over.textContent = P.overBudget(answer.estimate, input.value)) });
      over.textContent = P.overBudget(answer.estimate, "");
      box.append(el("div", { class: "pl-offer-facts" }, el("span", { class: "pl-faint" }, "It takes about"), ...P.estimateFacts(answer.estimate)),
        el("label", { class: "pl-budget" }, el("span", { class: "pl-faint" }, "Stop it at $"), input), over);
    });
    return box;
  };
  // What is chosen below an offer says the budget too.
  P.withBudget = (chosen) => {
    const entry = P.entries.findLast((each) => each.data?.kind === "offer" && each.id === P.entries.at(-1).id);
    const limit = entry && P.dollars(P.$(".pl-offer-budget", document.getElementById(entry.data.place))?.value || "");
    return limit && entry.data.yes === chosen ? `${chosen} for at most $${limit}` : chosen;
  };
})();
