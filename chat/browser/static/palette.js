// The palette: type a few letters of what you want to do or open.
(() => {
  "use strict";
  const P = window.parlance;
  const { el, icon } = P;
  const MOST = 6; // of a kind, while several kinds are listed
  let node = null;
  let field, list, box;
  let items = [];

  P.palette = () => {
    node ||= build();
    if (node.open) return node.close();
    field.value = "";
    node.showModal();
    field.focus();
    items = [...actions(), ...conversations()];
    draw();
    load();
  };

  const build = () => {
    list = el("div", { id: "pl-palette-list", class: "pl-palette-list", "aria-label": "What can be done" });
    const search = P.searchField({ placeholder: "Do or open …", "aria-label": "Do or open", oninput: () => draw() });
    field = search.field;
    const made = el("dialog", { class: "pl-dialog palette", id: "pl-palette", "aria-label": "Find anything", onclick: (e) => e.target === made && made.close() }, search.node, list);
    box = P.listbox(field, list, { pick: (option) => (made.close(), items[Number(option.dataset.at)].run()) });
    document.body.append(made);
    return made;
  };

  const actions = () => P.commands().filter((c) => !c.hidden).map((c) => ({ ...c, kind: c.group }));
  const conversations = () =>
    (P.conversations || []).map((c) => ({ kind: "Conversations", title: c.title, icon: "chats", more: P.ago(c.updated_at), run: () => P.open(c.id) }));

  // What only the server knows comes a moment later.
  const load = async () => {
    const [workflows, templates] = await Promise.all([P.call("workflows", {}, { quiet: true }), P.call("templates", {}, { quiet: true })]);
    items.push(
      ...(workflows.workflows || []).filter((w) => !w.archived).map((w) => ({ kind: "Workflows", title: w.name, more: w.description, icon: "flow", run: () => P.openWorkflow(w.name) })),
      ...(templates.templates || []).map((t) => ({ kind: "Templates", title: t.title, more: t.description, icon: "grid", also: [...t.tags, ...t.asks].join(" "), run: () => P.gallery(t.title) })),
    );
    if (field.value) draw();
  };

  // Each word has to occur; a title that begins with what was typed comes first, then words that begin so.
  const score = (item, query, words) => {
    const title = item.title.toLowerCase();
    const text = `${title} ${(item.more || "").toLowerCase()} ${(item.also || "").toLowerCase()} ${item.kind.toLowerCase()}`;
    if (!words.every((word) => text.includes(word))) return 0;
    if (title.startsWith(query)) return 4;
    if (words.every((word) => title.split(/\s+/).some((part) => part.startsWith(word)))) return 3;
    return words.every((word) => title.includes(word)) ? 2 : 1;
  };

  const draw = () => {
    const query = field.value.trim().toLowerCase();
    const words = query.split(/\s+/).filter(Boolean);
    const found = items.map((item, at) => ({ item, at, score: score(item, query, words) })).filter((f) => f.score);
    if (query) found.sort((a, b) => b.score - a.score || a.at - b.at);
    const kinds = [...new Set(found.map((f) => f.item.kind))];
    const nodes = kinds.flatMap((kind) => {
      const some = found.filter((f) => f.item.kind === kind);
      const shown = ["Conversations", "Workflows", "Templates"].includes(kind) ? some.slice(0, MOST) : some;
      return [el("div", { class: "pl-picks-head", role: "presentation" }, kind), ...shown.map(row)];
    });
    if (!nodes.length) nodes.push(row({ item: addAsk(query), at: items.length - 1 }));
    list.replaceChildren(...nodes);
    box.first();
  };
  const addAsk = (query) => {
    items = items.filter((item) => item.kind !== "Ask");
    const ask = { kind: "Ask", title: `Ask: “${query}”`, icon: "chats", run: () => P.send(field.value.trim() || query) };
    items.push(ask);
    return ask;
  };

  const row = ({ item, at }) =>
    el("div", { role: "option", class: "pl-command", "data-at": at }, item.icon && icon(item.icon), el("span", { class: "pl-title" }, item.title),
      item.more && el("span", { class: "pl-command-more" }, item.more), item.keys && P.keysOf(item.keys));
})();
