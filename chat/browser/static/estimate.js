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

  const show = () => {
    if (!root) return;
    const open = P.$("details", root)?.open;
    if (!latest) return root.replaceChildren();
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
