// The settings, and of them which model answers. Keys go to the server and never come back.
(() => {
  "use strict";
  const P = window.parlance;
  const { el, button } = P;
  let dialog = null;
  let places = null;
  let content = null;
  let shown = "model";

  // Each section builds its nodes anew when it is turned to.
  const sections = [["model", "Model", () => model()], ["assistant", "Assistant", () => P.assistantSettings()], ["page", "Page", () => P.pageSettings()], ["data", "My data", () => P.dataSettings()]];

  P.parts.settings = {
    open(section = "model") {
      dialog ||= build();
      dialog.open();
      return turn(section);
    },
    refresh() {
      if (dialog?.node.open) P.$("[data-now]", dialog.node)?.replaceWith(now());
    },
    again: () => turn(shown),
    close: () => dialog.close(),
  };

  const build = () => {
    const made = P.dialog({ id: "pl-settings", title: "Settings", size: "middle" });
    places = el("div", { class: "pl-settings-places", role: "tablist", "aria-label": "Settings", "aria-orientation": "vertical", onkeydown: (event) => {
      const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      const next = sections[(sections.findIndex(([name]) => name === shown) + step + sections.length) % sections.length][0];
      P.$(`[data-name="${next}"]`, places).focus();
      turn(next);
    } }, ...sections.map(([name, title]) =>
      el("button", { type: "button", role: "tab", id: `pl-settings-${name}`, "data-name": name, "aria-controls": "pl-settings-content", onclick: () => turn(name) }, title)));
    content = el("div", { class: "pl-settings-content", id: "pl-settings-content", role: "tabpanel", tabindex: 0 });
    made.body.classList.add("pl-settings-body");
    made.body.append(places, content);
    return made;
  };

  const turn = async (section) => {
    const other = section !== shown || !content.firstChild;
    shown = section;
    P.$$("[role=tab]", places).forEach((tab) => {
      tab.setAttribute("aria-selected", String(tab.dataset.name === section));
      tab.tabIndex = tab.dataset.name === section ? 0 : -1;
    });
    content.setAttribute("aria-labelledby", `pl-settings-${section}`);
    if (other) content.replaceChildren(el("p", { class: "pl-faint" }, "Looking at what is there …"));
    const nodes = await sections.find(([name]) => name === section)[2]();
    if (shown === section) content.replaceChildren(...nodes);
  };

  const load = () => turn("model");
  const model = async () => {
    const data = await P.call("models", {}, { quiet: true });
    return data.error ? [P.trouble(data)] : [now(), pickOne(data), keys(data)];
  };

  const now = () => {
    const model = P.model || {};
    const loading = model.loading === "loading";
    return el("section", { class: "pl-now", "data-now": "" },
      el("div", { class: "pl-now-name" }, el("span", { class: `pl-dot ${model.error || model.loading === "failed" ? "failed" : loading ? "running" : "ok"}` }),
        el("strong", {}, model.name || "No model"), model.demo && el("span", { class: "pl-tag waiting" }, "Demo model")),
      el("p", { class: "pl-faint" }, model.error ? `${model.error} ${model.fix || ""}` : `Why this one: ${model.source || "unknown"}.`),
      model.demo && el("p", {}, "Small, and on this machine: good for a first look. For better drafts paste a key below, or start Ollama (ollama serve)."),
      !model.demo && model.note && el("p", { class: "failed" }, model.note),
      loading && el("progress", model.fraction ? { value: model.fraction, max: 1, "aria-label": "Loading the model" } : { "aria-label": "Loading the model" }),
      model.loading === "failed" && el("p", { class: "failed" }, model.detail || "It could not be loaded."));
  };

  const busy = async (node, work) => {
    node.disabled = true;
    await work();
    node.disabled = false;
  };

  const input = (attributes) => el("input", { autocomplete: "off", spellcheck: "false", ...attributes });

  const pickOne = (data) => {
    const field = input({ id: "pl-model-field", list: "pl-model-list", placeholder: data.chosen || "provider/model" });
    const address = input({ id: "pl-model-address", type: "url", placeholder: "http://127.0.0.1:8000/v1" });
    const key = input({ id: "pl-model-key", type: "password", placeholder: "if it asks for one" });
    const answer = el("div", { class: "pl-try", role: "status", "aria-live": "polite" });
    const use = button("Use it", { class: "main", onclick: () => busy(use, async () => {
      const done = await P.call("choose", { model: field.value, address: address.value, key: key.value }, { quiet: true });
      if (done.error) return tell(answer, done);
      await load();
    }) });
    const test = button("Test", { onclick: () => busy(test, async () => {
      tell(answer, { text: "Asking for a short hello …", busy: true });
      tell(answer, await P.call("try_model", { model: field.value }, { quiet: true }));
    }) });
    const own = el("details", { class: "pl-own" }, el("summary", {}, "It is on a server of my own"),
      el("div", { class: "pl-key" }, el("label", { for: address.id }, "Address"), address),
      el("div", { class: "pl-key" }, el("label", { for: key.id }, "Key"), key));
    return el("section", {},
      el("label", { for: field.id }, "Pick a model"),
      el("div", { class: "pl-field-row" }, field, test, use),
      el("datalist", { id: "pl-model-list" }, ...data.available.map((m) => el("option", { value: m.name }, m.source))),
      el("div", { class: "pl-found" }, ...data.available.map((m) =>
        el("button", { type: "button", class: "pl-chip", title: m.source, onclick: () => ((field.value = m.name), field.focus()) }, m.name)),
        data.chosen && el("button", { type: "button", class: "pl-chip", onclick: async () => (await P.call("choose", {}), load()) }, "Whatever is found")),
      own, answer);
  };

  const tell = (node, result) => {
    const words = result.error ? `${result.error} ${result.fix || ""}` : result.model ? `${result.model} answered in ${result.seconds}: “${result.text}”` : result.text;
    node.replaceChildren(el("span", { class: `pl-dot ${result.error ? "failed" : result.busy ? "running" : "ok"}` }), el("span", {}, words));
  };

  const keys = (data) =>
    el("section", {},
      el("h3", {}, "Keys"),
      el("p", { class: "pl-faint" }, "A key stays on this machine in a file that only you can read, and goes to its provider alone. It is never shown again."),
      ...data.providers.map(keyRow));

  const keyRow = (provider) => {
    const field = input({ id: `pl-key-${provider.name}`, type: "password", placeholder: provider.source ? `Set: ${provider.source}` : "Paste a key",
      onkeydown: (event) => event.key === "Enter" && keep.click() });
    const set = async (key) => {
      const done = await P.call("set_key", { provider: provider.name, key });
      if (!done.error) await load();
    };
    const keep = button("Save", { onclick: () => field.value.trim() && set(field.value.trim()), "aria-label": `Save the key of ${provider.title}` });
    return el("div", { class: "pl-key" }, el("label", { for: field.id }, provider.title), field, keep,
      provider.removable && button("Forget", { onclick: () => set(null), "aria-label": `Forget the key of ${provider.title}` }));
  };
})();
