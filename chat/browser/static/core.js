// Helpers of the page's script: nodes are built from text, never from markup, except where the server made it.
window.parlance = { conversation: null, entries: [], head: {}, model: null, workflow: null, run: null, parts: {} };

(() => {
  "use strict";
  const P = window.parlance;

  // el("button", {class: "x", onclick: f, "aria-label": "…"}, "text", node, …)
  P.el = (tag, attributes = {}, ...children) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value === undefined || value === null || value === false) continue;
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else node.setAttribute(name, value === true ? "" : value);
    }
    node.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
    return node;
  };

  // Only for what the server rendered with every text escaped: pictures, outputs.
  P.made = (tag, attributes, markup) => {
    const node = P.el(tag, attributes);
    node.innerHTML = markup;
    return node;
  };

  // Small things that this browser remembers. One that keeps nothing (full, private) costs a mark, never an error.
  P.recall = (name) => {
    try {
      return localStorage.getItem(name);
    } catch {
      return null;
    }
  };
  P.remember = (name, value) => {
    try {
      if (value === null) localStorage.removeItem(name);
      else localStorage.setItem(name, value);
    } catch {
      // as above
    }
  };

  P.$ = (selector, root = document) => root.querySelector(selector);
  P.$$ = (selector, root = document) => [...root.querySelectorAll(selector)];

  const icons = {
    plus: "M8 3v10M3 8h10",
    search: "M7 2.5a4.5 4.5 0 1 1 0 9 4.5 4.5 0 0 1 0-9ZM10.4 10.4 14 14",
    pencil: "M10.8 2.7l2.5 2.5L5.5 13 2.5 13.5 3 10.5Z",
    trash: "M3 4.5h10M6.5 4.5V3h3v1.5M4.5 4.5l.6 8.5h5.8l.6-8.5",
    gear: "M8 5.8a2.2 2.2 0 1 1 0 4.4 2.2 2.2 0 0 1 0-4.4ZM8 1.8v1.6M8 12.6v1.6M1.8 8h1.6M12.6 8h1.6M3.6 3.6l1.1 1.1M11.3 11.3l1.1 1.1M12.4 3.6l-1.1 1.1M4.7 11.3l-1.1 1.1",
    close: "M4 4l8 8M12 4l-8 8",
    play: "M5 3.2 12.6 8 5 12.8Z",
    stop: "M4.5 4.5h7v7h-7Z",
    down: "M8 2.5v8M4.5 7.5 8 11l3.5-3.5M3 13.5h10",
    back: "M6.5 3.5 2.5 7.5l4 4M2.5 7.5h7a4 4 0 0 1 0 8H8",
    chats: "M2.5 3.5h11v7h-6l-3 2.5v-2.5h-2Z",
    flow: "M5.5 2.5h5v3.5h-5ZM2 10h4.5v3.5H2ZM9.5 10H14v3.5H9.5ZM8 6v2M4.2 10V8h7.6v2",
    wand: "M3 13 10 6M11.5 2v2M11.5 7v2M9 4.5h-.5M14.5 4.5H14M13.3 2.7l-.5.5M13.3 6.3l-.5-.5",
    minus: "M3 8h10",
    fit: "M1.5 3v10M14.5 3v10M4 8h8M6 6 4 8l2 2M10 6l2 2-2 2",
    copy: "M5.5 5.5h8v8h-8ZM10.5 5.5v-3h-8v8h3",
    leave: "M9.5 2.5h-6v11h6M6.5 8h7.5M11 5l3 3-3 3",
    up: "M8 13V3M4 7l4-4 4 4",
    drop: "M8 3v10M4 9l4 4 4-4",
    beside: "M2 3h12v10H2ZM8 3v10",
    list: "M2.5 4h11M2.5 8h11M2.5 12h7",
    grid: "M2.5 2.5H7V7H2.5ZM9 2.5h4.5V7H9ZM2.5 9H7v4.5H2.5ZM9 9h4.5v4.5H9Z",
    text: "M5.5 4 1.5 8l4 4M10.5 4l4 4-4 4",
    box: "M2 3h12v3H2ZM3 6v7.5h10V6M6.5 9h3",
    file: "M4 1.8h5l3.5 3.5v8.9H4ZM9 1.8v3.5h3.5",
    sun: "M8 5a3 3 0 1 1 0 6 3 3 0 0 1 0-6ZM8 1.2v1.6M8 13.2v1.6M1.2 8h1.6M13.2 8h1.6M3.2 3.2l1.1 1.1M11.7 11.7l1.1 1.1M12.8 3.2l-1.1 1.1M4.3 11.7l-1.1 1.1",
    moon: "M13.5 9.8A6 6 0 0 1 6.2 2.5a6 6 0 1 0 7.3 7.3Z",
    keyboard: "M1.5 4h13v8.5h-13ZM4 6.8h.01M6.7 6.8h.01M9.3 6.8h.01M12 6.8h.01M5 9.8h6",
    more: "M3.5 8h.01M8 8h.01M12.5 8h.01",
    share: "M8 10V2M5 4.5 8 1.5l3 3M3 8.5v5h10v-5",
  };
  P.icon = (name) => {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", "0 0 16 16");
    svg.setAttribute("class", "pl-icon");
    svg.setAttribute("aria-hidden", "true");
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    path.setAttribute("d", icons[name]);
    svg.append(path);
    return svg;
  };

  P.button = (text, attributes, icon) => {
    const { class: more = "", ...rest } = attributes;
    return P.el("button", { type: "button", class: `pl-button ${more}`, ...rest }, icon && P.icon(icon), text && P.el("span", {}, text));
  };

  // --- Gradio's side ---

  const waiting = [];
  let bridge = null;

  // Islands come up when Gradio mounts them: those of a tab only when it is opened.
  P.adopt = () => {
    for (const { name, element, trigger, server } of (window.parlanceIslands || []).splice(0)) {
      const root = P.$("[data-island]", element) || element;
      if (name === "bridge") {
        bridge = { trigger, server };
        waiting.splice(0).forEach((go) => go());
      } else {
        P.parts[name]?.mount(root);
      }
    }
  };
  const whenReady = (go) => (bridge ? go() : waiting.push(go));

  // Have Gradio fetch a value from here: chat, composer, yaml, tab, form.
  P.push = (event) => whenReady(() => bridge.trigger(event, {}));

  // Call a server function; what went wrong is shown and comes back as `error`.
  P.call = (name, given = {}, { quiet = false } = {}) =>
    new Promise((resolve) =>
      whenReady(async () => {
        // Gradio's client rejects, or answers nothing, when the server can't be reached or wants to be signed in to.
        let answer = await bridge.server[name](given).catch(() => null);
        if (!answer?.signed_out && (answer || !(await P.signedOut()))) answer ||= { error: "The server did not answer.", fix: "Is it still running? Then try again." };
        else (P.toLogin(), (answer = { error: "You are signed out." }));
        if (answer.error && !quiet) P.toast(answer.error, answer.fix);
        resolve(answer);
      }),
    );

  // --- signed out ---

  P.signedOut = async () => {
    const answer = await fetch("/page/page.css?signed-in", { redirect: "manual", cache: "no-store" }).catch(() => null);
    return !!answer && (answer.type === "opaqueredirect" || answer.status === 401);
  };
  P.toLogin = () => P.leaving || location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);

  // --- small things ---

  P.toast = (text, more, kind = "") => {
    const box = P.$("#pl-toasts") || document.body.appendChild(P.el("div", { id: "pl-toasts", role: "status", "aria-live": "polite" }));
    const toast = P.el("div", { class: `pl-toast ${kind}` }, P.el("strong", {}, text), more && P.el("span", {}, more));
    toast.append(P.el("button", { type: "button", "aria-label": "Close", onclick: () => toast.remove() }, P.icon("close")));
    box.append(toast);
    setTimeout(() => toast.remove(), 9000);
  };

  // What went wrong, where it was to be shown.
  P.trouble = ({ error, fix }) => P.el("p", { class: "pl-trouble", role: "alert" }, P.el("strong", {}, error), fix && ` ${fix}`);

  P.copy = async (button, text) => {
    try {
      await navigator.clipboard.writeText(text);
      button.classList.add("pl-done");
      setTimeout(() => button.classList.remove("pl-done"), 1200);
    } catch {
      P.toast("The browser did not allow to copy.", "Mark the text and copy it by hand.");
    }
  };

  // A small button that copies what `text` gives when it is pressed.
  P.copyButton = (name, text) =>
    P.el("button", { type: "button", class: "pl-icon-button pl-copy", title: name, "aria-label": name, onclick: (event) => P.copy(event.currentTarget, text()) }, P.icon("copy"));

  // One output as its text; of several each under its name.
  P.outputsAsText = (run) => {
    const all = Object.entries(run.raw_outputs).map(([name, value]) => [name, typeof value === "string" ? value : JSON.stringify(value, null, 2)]);
    return all.length === 1 ? all[0][1] : all.map(([name, value]) => `${name}:\n${value}`).join("\n\n");
  };

  P.ask = ({ title, text, yes, danger }) =>
    new Promise((resolve) => {
      const dialog = P.el(
        "dialog",
        { class: "pl-dialog small", "aria-labelledby": "pl-ask-title", onclose: () => (dialog.remove(), resolve(dialog.returnValue === "yes")) },
        P.el("form", { method: "dialog" },
          P.el("h2", { id: "pl-ask-title" }, title),
          P.el("p", {}, text),
          P.el("div", { class: "pl-dialog-acts" },
            P.el("button", { class: "pl-button", value: "no" }, "Cancel"),
            P.el("button", { class: `pl-button main ${danger ? "danger" : ""}`, value: "yes", autofocus: true }, yes),
          ),
        ),
      );
      document.body.append(dialog);
      dialog.showModal();
    });

  P.ago = (iso) => {
    const seconds = (Date.now() - new Date(iso)) / 1000;
    if (seconds < 60) return "now";
    if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
    if (seconds < 86400) return `${Math.floor(seconds / 3600)} h`;
    if (seconds < 7 * 86400) return `${Math.floor(seconds / 86400)} d`;
    return new Date(iso).toLocaleDateString(undefined, { day: "numeric", month: "short" });
  };

  // As the server says it: "0.4 s", "12 s", "3 min 5 s", "2 h 5 min".
  P.duration = (seconds) => {
    if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
    const whole = Math.round(seconds);
    for (const [big, name, small, part] of [[86400, "d", 3600, "h"], [3600, "h", 60, "min"], [60, "min", 1, "s"]]) {
      const rest = Math.floor((whole % big) / small);
      if (whole >= big) return `${Math.floor(whole / big)} ${name}${rest || small === 1 ? ` ${rest} ${part}` : ""}`;
    }
    return `${whole} s`;
  };

  // On a phone one pane shows at a time.
  P.pane = (name) => {
    document.body.dataset.plPane = name;
    P.$$(".pl-switch button").forEach((b) => b.setAttribute("aria-pressed", String(b.value === name)));
  };

  P.later = (wait, work) => {
    let timer;
    return (...given) => {
      clearTimeout(timer);
      timer = setTimeout(() => work(...given), wait);
    };
  };
})();
