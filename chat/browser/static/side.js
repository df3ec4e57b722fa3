// The left side, the head of the chat and the line below it.
(() => {
  "use strict";
  const P = window.parlance;
  const { el, button, icon } = P;

  // --- conversations ---

  let root = null;
  let rows = null;
  let latest = { items: [], query: "" };
  let renaming = null;

  const leave = button("Sign out", { class: "pl-leave", hidden: true, onclick: () => signOut() }, "leave");
  const signOut = async () => {
    const sure = !P.kept.any() || (await P.ask({ title: "Sign out?", text: "Text in the editor that is not saved will be removed from this browser.", yes: "Sign out", danger: true }));
    if (!sure) return;
    P.leaving = true; // so that nothing leads away before the texts are gone
    const answer = await fetch("/logout", { method: "POST", redirect: "manual" }).catch(() => null);
    P.leaving = false;
    if (!answer) return P.toast("The server did not answer.", "You are still signed in. Try again when it is back.");
    P.kept.clear();
    P.forgetNews();
    location.assign("/login");
  };

  setInterval(() => P.parts.side.list(latest), 60_000); // "5 min" becomes "6 min"

  const place = (text, sign, work) => button(text, { class: "pl-place", onclick: work }, sign);

  const search = P.later(150, (query) => P.tell("search", { query }));

  P.parts.side = {
    mount(node) {
      rows = el("ul", { class: "pl-rows", "aria-label": "Conversations" });
      root = node;
      node.replaceChildren(
        el("div", { class: "pl-brand" }, el("span", { class: "pl-mark", "aria-hidden": "true" }), el("span", {}, "Parlance")),
        button("New conversation", { class: "pl-new", onclick: () => P.open(null) }, "plus"),
        el("nav", { class: "pl-places", "aria-label": "Your work" },
          place("Workflows", "flow", () => P.library("workflows")), place("Templates", "grid", () => P.gallery())),
        el("label", { class: "pl-search" }, icon("search"),
          el("input", { type: "search", placeholder: "Search", "aria-label": "Search conversations", oninput: (e) => search(e.target.value) })),
        rows,
        el("div", { class: "pl-side-foot" },
          place("Settings", "gear", () => P.parts.settings.open()),
          el("button", { type: "button", class: "pl-icon-button", title: "Find anything", "aria-label": "Find anything", onclick: () => P.palette() }, icon("search")),
          el("button", { type: "button", class: "pl-icon-button", title: "Keyboard shortcuts", "aria-label": "Keyboard shortcuts", onclick: () => P.shortcuts() }, icon("keyboard"))),
        leave,
      );
      this.list(latest);
    },
    // Only where there is a password to come back with.
    signOut(password) {
      leave.hidden = !password;
    },
    list(data) {
      latest = data;
      if (!data.query) P.takeConversations(data.items);
      if (!rows || renaming) return;
      const nodes = data.items.map(row);
      if (!nodes.length) {
        const text = data.query ? "Nothing was found." : "Your conversations will be kept here.";
        nodes.push(el("li", { class: "pl-none" }, text));
      }
      const focused = document.activeElement?.closest?.(".pl-row")?.dataset.id;
      rows.replaceChildren(...nodes);
      if (focused) rows.querySelector(`[data-id="${CSS.escape(focused)}"] .pl-open`)?.focus();
      this.mark();
    },
    mark() {
      const unread = P.unread();
      P.$$(".pl-row", root || document).forEach((node) => {
        const open = node.dataset.id === P.conversation;
        node.classList.toggle("open", open);
        node.classList.toggle("unread", unread.has(node.dataset.id));
        node.querySelector(".pl-open")?.setAttribute("aria-current", open ? "page" : "false");
      });
    },
  };

  const row = (item) =>
    el("li", { class: "pl-row", "data-id": item.id },
      el("button", { type: "button", class: "pl-open", title: item.title, onclick: () => P.open(item.id) },
        el("span", { class: "pl-title", dir: "auto" }, item.title), el("span", { class: "pl-ago" }, P.ago(item.updated_at)),
        el("span", { class: "pl-new-mark" }, el("span", { class: "pl-unseen" }, "new"))),
      el("span", { class: "pl-row-acts" },
        el("button", { type: "button", "aria-label": `Rename “${item.title}”`, title: "Rename", onclick: () => rename(item) }, icon("pencil")),
        el("button", { type: "button", "aria-label": `Delete “${item.title}”`, title: "Delete", onclick: () => remove(item) }, icon("trash"))),
    );

  const rename = (item) => {
    const node = rows.querySelector(`[data-id="${CSS.escape(item.id)}"]`);
    renaming = item.id;
    const end = async (keep) => {
      if (renaming !== item.id) return;
      renaming = null;
      const title = input.value.trim();
      if (keep && title !== item.title) {
        item.title = title || item.title;
        await P.call("rename", { conversation: item.id, title });
      }
      P.parts.side.list(latest);
      rows.querySelector(`[data-id="${CSS.escape(item.id)}"] .pl-open`)?.focus();
    };
    const input = el("input", { class: "pl-rename", value: item.title, "aria-label": "New name", maxlength: 60,
      onblur: () => end(true),
      onkeydown: (e) => {
        if (e.key === "Enter") end(true);
        if (e.key === "Escape") (e.stopPropagation(), end(false));
      } });
    node.replaceChildren(input);
    input.focus();
    input.select();
  };

  const remove = async (item) => {
    const sure = await P.ask({ title: "Delete this conversation?", text: `“${item.title}” and its messages will be gone. Its workflow is kept.`, yes: "Delete", danger: true });
    if (!sure) return;
    P.deleting = item.id;
    const answer = await P.call("delete", { conversation: item.id });
    if (!answer.error) P.kept.set(item.id, null);
  };

  // --- the head ---

  let title = null;
  let chip = null;

  P.parts.head = {
    mount(node) {
      title = el("h1", { class: "pl-head-title", dir: "auto" });
      chip = el("button", { type: "button", class: "pl-model", "aria-haspopup": "dialog", onclick: () => P.parts.settings.open() });
      node.replaceChildren(title, ...P.exportButton(), chip);
      this.show(P.head);
      showModel();
    },
    show(data) {
      const was = P.head.live;
      P.head = data;
      if (title) title.textContent = data.title || "New conversation";
      P.showTitle();
      document.body.toggleAttribute("data-pl-live", !!data.live);
      document.body.toggleAttribute("data-pl-earlier", !!data.earlier);
      document.body.toggleAttribute("data-pl-again", !!data.again);
      if (!!was !== !!data.live) P.push("composer");
      if (was && !data.live) P.parts.versions.show(); // a test may have been kept
    },
  };

  P.takeModel = (data) => {
    P.model = data;
    showModel();
    P.parts.settings.refresh();
  };

  // Why nothing will answer, as far as it is known before anybody asks.
  const troubleOf = (model) => model.error || (!model.demo && model.note) || "";
  const shortName = (name) => (name || "").split("/").at(-1);

  const showModel = () => {
    const model = P.model;
    if (!chip || !model) return;
    const loading = model.loading === "loading";
    const parts = [el("span", { class: `pl-dot ${troubleOf(model) || model.loading === "failed" ? "failed" : loading ? "running" : "ok"}` })];
    if (model.demo) parts.push(el("span", { class: "pl-demo" }, "Demo model"));
    parts.push(el("span", { class: "pl-model-name" }, model.name ? shortName(model.name) : "No model"));
    if (loading) parts.push(el("span", { class: "pl-faint" }, model.fraction ? `loading ${Math.round(model.fraction * 100)} %` : "loading"));
    chip.classList.toggle("demo", !!model.demo);
    chip.replaceChildren(...parts, icon("gear"));
    chip.setAttribute("aria-label", `Model: ${model.name || "none"}${model.demo ? ", a demo model" : ""}. Open the settings`);
    chip.title = [model.name, model.source].filter(Boolean).join(" · ") || model.error;
    chip.style.setProperty("--pl-part", loading ? String(model.fraction || 0.04) : "0");
    showFoot();
  };

  // --- below the message box ---

  let foot = null;
  P.parts.foot = {
    mount(node) {
      foot = node;
      showFoot();
    },
  };

  const showFoot = () => {
    const model = P.model;
    if (!foot || !model) return;
    const settings = (text) => el("button", { type: "button", class: "pl-link", onclick: () => P.parts.settings.open() }, text);
    if (troubleOf(model)) foot.replaceChildren(el("span", { class: "failed" }, `${troubleOf(model)} `), settings("Set up a model"));
    else if (model.demo) foot.replaceChildren(el("span", {}, `${shortName(model.name)} answers, a demo model that runs here. For better drafts paste a key or start Ollama. `), settings("Use a better one"));
    else foot.replaceChildren(el("span", {}, `${model.name} answers`), el("span", { class: "pl-faint" }, model.source ? ` · ${model.source}` : ""));
  };
})();
