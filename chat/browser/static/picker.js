// Inputs of type file in the Run tab: a button sends the file up, and the field behind it holds its reference.
(() => {
  "use strict";
  const P = window.parlance;
  const { el, button } = P;

  const held = (area) => {
    try {
      return JSON.parse(area.value || "null");
    } catch {
      return null;
    }
  };

  const dress = (field) => {
    const area = P.$("textarea, input", field);
    if (!area) return;
    const name = field.id.slice("pl-input-".length).replaceAll("_", " ");
    const write = (file) => {
      area.value = file ? JSON.stringify(file) : "";
      area.dispatchEvent(new Event("input", { bubbles: true }));
      draw();
    };
    const take = async (file) => {
      if (!file) return;
      draw({ name: file.name, sending: true });
      const sent = await P.sendFile(file);
      if (sent.error) return draw({ error: `${file.name}: ${sent.error}` });
      const { id, name, media_type, size } = sent.file;
      write({ file: id, name, media_type, size });
    };
    const input = el("input", { type: "file", class: "pl-unseen", tabindex: -1, "aria-label": `File for ${name}`, onchange: () => {
      const file = input.files[0];
      input.value = "";
      take(file);
    } });
    const row = el("div", { class: "pl-file-row" });
    let drawn = null;
    const draw = (state = {}) => {
      const file = held(area);
      drawn = area.value;
      row.replaceChildren(...[
        button(file && !state.sending ? "Choose another" : "Choose a file", { onclick: () => input.click(), disabled: state.sending, "aria-label": `Choose a file for ${name}` }, "file"),
        state.sending && el("span", { class: "pl-faint", role: "status" }, `Sending ${state.name} …`),
        state.error && el("span", { class: "pl-file-error", role: "alert" }, state.error),
        !state.sending && !state.error && file && el("span", { class: "pl-title", title: file.name }, file.name || "a file"),
        !state.sending && !state.error && file?.size !== undefined && el("span", { class: "pl-faint" }, P.fileSize(file.size)),
        !state.sending && file && el("button", { type: "button", class: "pl-icon-button", title: "Remove", "aria-label": `Remove ${file.name}`, onclick: () => write(null) }, P.icon("close")),
        input,
      ].filter(Boolean));
    };
    area.setAttribute("tabindex", "-1");
    area.setAttribute("aria-hidden", "true");
    field.append(row);
    draw();
    redraw.set(field, () => area.value !== drawn && draw());
  };

  // Gradio makes the form anew for every version.
  const redraw = new WeakMap();
  const settle = () => {
    for (const field of P.$$("#pl-form .pl-file-input")) {
      if (P.$(".pl-file-row", field)) redraw.get(field)?.();
      else dress(field);
    }
  };
  new MutationObserver(settle).observe(document.documentElement, { subtree: true, childList: true });
})();
