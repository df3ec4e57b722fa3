// Dialogs of the page: one shape for all of them, and lists in which a key or a click picks.
(() => {
  "use strict";
  const P = window.parlance;
  const { el, icon } = P;

  // A dialog that is built once, and shown as often as wanted: {node, body, open, close}. `body` is what it shows.
  P.dialog = ({ id, title, size = "", opened = () => {}, closed = () => {} }) => {
    const body = el("div", { class: "pl-dialog-body" });
    const close = () => node.close();
    const node = el("dialog", { class: `pl-dialog ${size}`, id, "aria-labelledby": `${id}-title`, onclose: closed, onclick: (e) => e.target === node && close() },
      el("div", { class: "pl-dialog-head" }, el("h2", { id: `${id}-title` }, title),
        el("button", { type: "button", class: "pl-icon-button", "aria-label": "Close", onclick: close }, icon("close"))),
      body);
    document.body.append(node);
    const open = (...given) => {
      if (!node.open) node.showModal();
      return opened(...given);
    };
    return { node, body, open, close };
  };

  // Arrows move through a list from the field above it; Enter picks. The field keeps the cursor.
  P.listbox = (field, list, { pick, moved = () => {} }) => {
    let at = 0;
    const options = () => P.$$("[role=option]", list);
    const mark = (next, scroll = true) => {
      const all = options();
      at = Math.max(0, Math.min(next, all.length - 1));
      all.forEach((option, n) => {
        option.id ||= `${list.id}-${crypto.randomUUID?.() || Math.random().toString(36).slice(2)}`;
        option.setAttribute("aria-selected", String(n === at));
      });
      const now = all[at];
      if (now) field.setAttribute("aria-activedescendant", now.id);
      else field.removeAttribute("aria-activedescendant");
      if (now && scroll) now.scrollIntoView({ block: "nearest" });
      moved(now);
    };
    field.setAttribute("role", "combobox");
    field.setAttribute("aria-controls", list.id);
    field.setAttribute("aria-expanded", "true");
    field.setAttribute("aria-autocomplete", "list");
    list.setAttribute("role", "listbox");
    field.addEventListener("keydown", (event) => {
      const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8 }[event.key];
      if (steps && !event.altKey) (event.preventDefault(), mark(at + steps));
      else if (event.key === "Enter" && !event.isComposing) (event.preventDefault(), options()[at] && pick(options()[at]));
    });
    list.addEventListener("click", (event) => {
      const option = event.target.closest("[role=option]");
      if (!option) return;
      mark(options().indexOf(option), false);
      pick(option, event);
    });
    return { mark, first: () => mark(0) };
  };

  P.searchField = (attributes) => {
    const field = el("input", { type: "search", autocomplete: "off", spellcheck: "false", ...attributes });
    return { field, node: el("label", { class: "pl-search" }, icon("search"), field) };
  };
})();
