// What a run will take, before it: reckoned anew as the form is filled in; unknown is said to be unknown.
(() => {
  "use strict";
  const P = window.parlance;
  const { el } = P;
  let root = null;
  let latest = null;
  let number = 0;

  P.estimateIn = () => {
    root = el("div", { class: "pl-estimate", role: "status", "aria-live": "polite" });
    show();
    return root;
  };

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

  const ask = P.later(500, async () => {
    const mine = ++number;
    if (!P.workflow || !P.conversation) return (latest = null), show();
    const [conversation, version] = [P.conversation, P.workflow.version];
    const answer = await P.call("estimate", { conversation, inputs: inputs() }, { quiet: true });
    if (mine !== number || conversation !== P.conversation) return;
    latest = answer.error ? { error: answer.error, fix: answer.fix, version } : { ...answer.estimate, version };
    show();
  });
  P.estimate = () => ask();
  document.addEventListener("input", (event) => event.target.closest?.("#pl-form") && ask());

  const show = () => {
    if (!root) return;
    const open = P.$("details", root)?.open;
    if (!latest || !P.workflow) return root.replaceChildren();
    if (latest.error) return root.replaceChildren(el("p", { class: "pl-faint" }, `What a run takes is unknown: ${latest.error}`));
    const fact = (name, value) => el("span", { class: value === "unknown" ? "unknown-value" : null }, el("span", { class: "pl-faint" }, `${name} `), value);
    root.replaceChildren(
      el("details", { open },
        el("summary", {}, el("span", { class: "pl-estimate-name" }, "A run takes about"), fact("cost", latest.cost), fact("tokens", latest.tokens), fact("time", latest.seconds)),
        table(latest)),
      ...(latest.over ? [el("p", { class: "failed" }, `That may be more than its budget of ${latest.budget}; it stops there.`)] : []),
      ...(latest.unknown.length ? [el("ul", { class: "pl-estimate-notes" }, ...latest.unknown.map((words) => el("li", {}, words)))] : []));
  };

  const table = (found) =>
    el("table", {},
      el("thead", {}, el("tr", {}, ...["Step", "Cost", "Tokens", "Calls", "Time"].map((name) => el("th", { scope: "col" }, name)))),
      el("tbody", {}, ...found.nodes.flatMap((node) => [
        el("tr", {}, el("th", { scope: "row", title: node.model }, node.id), ...[node.cost, node.tokens, node.calls, node.seconds].map((value) => el("td", {}, value))),
        ...(node.note ? [el("tr", { class: "note" }, el("td", { colspan: 5 }, node.note))] : [])])));
})();
