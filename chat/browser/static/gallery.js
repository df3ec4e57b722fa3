// The templates: found by words and by meaning, looked at with their graph, and begun with.
(() => {
  "use strict";
  const P = window.parlance;
  const { el, button, made } = P;
  let dialog = null;
  let field, list, box, preview;
  let all = null;
  let shown = null; // the name of the one that is looked at

  P.gallery = (query = "") => {
    dialog ||= build();
    return dialog.open(query);
  };

  const build = () => {
    const found = P.dialog({ id: "pl-gallery", title: "Templates", size: "wide", opened: start });
    const search = P.searchField({ placeholder: "What should it do?", "aria-label": "Search templates", oninput: () => look() });
    field = search.field;
    list = el("div", { id: "pl-gallery-list", class: "pl-picks", "aria-label": "Templates" });
    preview = el("section", { class: "pl-preview", "aria-live": "polite" });
    box = P.listbox(field, list, { pick: (option, event) => (event ? found.body.setAttribute("data-preview", "") : use(option.dataset.name)), moved: (option) => show(option?.dataset.name) });
    found.body.classList.add("pl-split");
    found.body.append(el("div", { class: "pl-split-list" }, search.node, list), preview);
    return found;
  };

  const start = async (query) => {
    field.value = query;
    dialog.body.removeAttribute("data-preview");
    field.focus();
    if (!all) {
      const answer = await P.call("templates", {}, { quiet: true });
      if (answer.error) return list.replaceChildren(P.trouble(answer));
      all = answer.templates;
    }
    look();
  };

  // Words first, at once; then what is near in meaning, which takes a moment.
  const look = () => {
    const query = field.value.trim();
    const words = query.toLowerCase().split(/\s+/).filter(Boolean);
    const text = (t) => [t.title, t.description, ...t.tags, ...t.asks].join(" ").toLowerCase();
    const found = all.filter((t) => words.every((word) => text(t).includes(word)));
    draw(found, [], query);
    if (query.length > 2) near(query, found);
  };
  const near = P.later(200, async (query, found) => {
    const answer = await P.call("near", { query }, { quiet: true });
    if (answer.error || query !== field.value.trim()) return;
    draw(found, answer.names.map((name) => all.find((t) => t.name === name)).filter((t) => t && !found.includes(t)), query);
  });

  const draw = (found, alike, query) => {
    const row = (t) => el("div", { role: "option", class: "pl-pick", "data-name": t.name }, el("strong", {}, t.title), el("span", {}, t.description));
    const groups = [...found.map(row)];
    if (alike.length) groups.push(...(found.length ? [el("div", { class: "pl-picks-head", role: "presentation" }, "Similar")] : []), ...alike.map(row));
    if (!groups.length) groups.push(el("div", { class: "pl-none" }, "No template is like that. ", ask(query)));
    list.replaceChildren(...groups);
    const at = P.$$("[role=option]", list).findIndex((option) => option.dataset.name === shown);
    box.mark(Math.max(at, 0), false);
  };
  const ask = (query) => el("button", { type: "button", class: "pl-link", onclick: () => (dialog.close(), P.open(null), P.send(query)) }, "Ask for it in the chat");

  const show = async (name) => {
    if (!name) return (shown = null), preview.replaceChildren();
    if (name === shown && preview.firstChild) return;
    shown = name;
    const answer = await P.call("template", { name }, { quiet: true });
    if (shown !== name) return;
    preview.replaceChildren(...(answer.error ? [P.trouble(answer)] : parts(answer)));
  };

  const parts = (t) => {
    const start = button("Use it", { class: "main", onclick: () => use(t.name, start) });
    return [
      button("All templates", { class: "pl-back", onclick: () => dialog.body.removeAttribute("data-preview") }, "back"),
      el("div", { class: "pl-preview-head" }, el("div", {}, el("h3", {}, t.title), el("p", {}, t.description)), start),
      el("div", { class: "pl-preview-graph", tabindex: 0, role: "img", "aria-label": `The steps of “${t.title}”` }, made("div", { "aria-hidden": "true" }, t.svg)),
      el("dl", { class: "pl-needs" },
        el("dt", {}, "Asks for"), el("dd", {}, t.inputs.length ? t.inputs.map((i) => i.description || i.name).join(" · ") : "nothing"),
        el("dt", {}, "Takes"), el("dd", {}, t.needs.join(" · "))),
      ...t.problems.map((words) => el("p", { class: "pl-run-warning" }, words)),
      el("details", { class: "pl-own" }, el("summary", {}, "As YAML"), el("pre", { class: "pl-code", tabindex: 0, "aria-label": "The template as YAML" }, t.yaml)),
    ];
  };

  const use = async (name, node) => {
    if (node) node.disabled = true;
    const answer = await P.call("use_template", { name });
    if (node) node.disabled = false;
    if (answer.error) return;
    dialog.close();
    P.open(answer.conversation);
    P.tab = "graph";
    P.push("tab");
  };
})();
