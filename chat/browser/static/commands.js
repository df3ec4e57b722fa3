// Everything one can do here, once: the palette lists it, the keys call it, the sheet of shortcuts shows it.
(() => {
  "use strict";
  const P = window.parlance;
  const { el } = P;
  const mac = /Mac|iPhone|iPad/.test(navigator.platform);

  const tab = (name) => () => P.show(name);
  const has = () => !!P.workflow;
  const dirty = () => "plDirty" in document.body.dataset;
  const previous = () => P.workflow?.versions[1]?.version;

  // `keys`: the modifiers and the key (by its place on the keyboard where it is a letter or a digit); `when`: whether it is of use now.
  const commands = [
    { id: "palette", group: "Go to", title: "Find anything", keys: ["Mod", "K"], run: () => P.palette(), hidden: true },
    { id: "new", group: "Go to", title: "New conversation", icon: "plus", keys: ["Mod", "Shift", "O"], run: () => P.open(null) },
    { id: "box", group: "Go to", title: "Write a message", icon: "chats", keys: ["/"], run: () => (P.pane("chat"), P.$("#pl-box textarea")?.focus()), hidden: true },
    { id: "templates", group: "Go to", title: "Templates", icon: "grid", run: () => P.gallery() },
    { id: "workflows", group: "Go to", title: "All workflows", icon: "flow", run: () => P.library("workflows") },
    { id: "runs", group: "Go to", title: "All runs", icon: "play", run: () => P.library("runs") },
    { id: "graph", group: "Go to", title: "Show the graph", icon: "flow", keys: ["Alt", "1"], run: tab("graph") },
    { id: "yaml", group: "Go to", title: "Show the YAML", icon: "text", keys: ["Alt", "2"], run: tab("yaml") },
    { id: "run-tab", group: "Go to", title: "Show the runs of this conversation", icon: "play", keys: ["Alt", "3"], run: tab("run") },
    { id: "versions", group: "Go to", title: "Show the versions", icon: "list", keys: ["Alt", "4"], run: tab("versions") },
    { id: "run", group: "Workflow", title: "Run the workflow", icon: "play", keys: ["Mod", "Enter"], when: has, run: () => P.runNow() },
    { id: "stop", group: "Workflow", title: "Stop the answer", icon: "stop", keys: ["Escape"], when: () => !!P.head.live, run: () => P.stop() },
    { id: "save", group: "Workflow", title: "Save what is in the editor", icon: "down", keys: ["Mod", "S"], when: dirty, run: () => saveNow() },
    { id: "undo", group: "Workflow", title: "Undo the last change", icon: "back", when: () => has() && previous(), run: () => P.call("restore", { conversation: P.conversation, version: previous() }) },
    { id: "open-file", group: "Workflow", title: "Open a YAML file …", icon: "file", run: () => P.pickFile() },
    { id: "theme-light", group: "Page", title: "Light colours", icon: "sun", when: () => P.theme() !== "light", run: () => P.theme("light") },
    { id: "theme-dark", group: "Page", title: "Dark colours", icon: "moon", when: () => P.theme() !== "dark", run: () => P.theme("dark") },
    { id: "theme-system", group: "Page", title: "Colours as the system has them", icon: "gear", when: () => P.theme() !== "system", run: () => P.theme("system") },
    { id: "settings", group: "Page", title: "Settings", icon: "gear", keys: ["Mod", ","], run: () => P.parts.settings.open() },
    { id: "keys", group: "Page", title: "Keyboard shortcuts", icon: "keyboard", keys: ["?"], run: () => sheet() },
  ];
  P.commands = () => commands.filter((command) => !command.when || command.when());
  P.addCommands = (...more) => commands.push(...more);

  // The button of the form, which is there when its tab is open.
  P.runNow = async () => {
    P.show("run");
    for (let tries = 0; tries < 60; tries++) {
      const go = P.$$("#pl-run, #pl-save-run").find((node) => node.offsetParent);
      if (go) {
        const empty = P.$$("#pl-form textarea, #pl-form input:not([type=checkbox])").find((field) => field.offsetParent && !field.value);
        return empty ? empty.focus() : go.click();
      }
      await new Promise((resume) => setTimeout(resume, 50));
    }
  };
  const saveNow = () => {
    const save = P.$$("#pl-yaml-island button").find((node) => node.textContent === "Save");
    if (!save || save.disabled) return P.show("yaml");
    save.click();
  };

  // --- keys ---

  const types = (node) => !!node.closest?.("input, textarea, select, [contenteditable=true], .cm-editor");
  const matches = (event, keys) => {
    const key = keys.at(-1);
    const mod = mac ? event.metaKey : event.ctrlKey;
    if (keys.includes("Mod") !== mod || keys.includes("Alt") !== event.altKey) return false;
    if (mac ? event.ctrlKey : event.metaKey) return false;
    if (/^[A-Z]$/.test(key)) return event.code === `Key${key}` && keys.includes("Shift") === event.shiftKey;
    if (/^\d$/.test(key)) return event.code === `Digit${key}` && !event.shiftKey;
    return event.key === key;
  };
  document.addEventListener("keydown", (event) => {
    if (event.isComposing || event.repeat) return;
    const found = commands.find((command) => command.keys && command.id !== "stop" && matches(event, command.keys));
    if (!found) return;
    const bare = found.keys.length === 1;
    const open = P.$("dialog[open]");
    if (bare && (types(event.target) || open)) return;
    if (open && found.id !== "palette") return;
    if (found.id === "run" && event.target.closest?.("#pl-box")) return;
    event.preventDefault();
    event.stopPropagation();
    if (!found.when || found.when()) found.run();
  }, true);

  const names = { Mod: mac ? "⌘" : "Ctrl", Shift: mac ? "⇧" : "Shift", Alt: mac ? "⌥" : "Alt", Escape: "Esc", Enter: "Enter" };
  P.keysOf = (keys) => el("span", { class: "pl-keys" }, ...keys.map((key) => el("kbd", {}, names[key] || key)));

  // --- the sheet ---

  let dialog = null;
  const more = [
    ["Message", "Send", ["Enter"]],
    ["Message", "A new line", ["Shift", "Enter"]],
    ["Graph", "Larger, smaller, fitted", ["+", "−", "0"]],
  ];
  const sheet = () => {
    dialog ||= P.dialog({ id: "pl-shortcuts", title: "Keyboard shortcuts" });
    const lines = [...commands.filter((c) => c.keys).map((c) => [c.group, c.title, c.keys]), ...more];
    const groups = [...new Set(lines.map(([group]) => group))];
    dialog.body.replaceChildren(...groups.map((group) =>
      el("section", {}, el("h3", {}, group),
        el("dl", { class: "pl-sheet" }, ...lines.filter(([g]) => g === group).map(([, title, keys]) => el("div", {}, el("dt", {}, title), el("dd", {}, P.keysOf(keys))))))));
    dialog.open();
  };
  P.shortcuts = sheet;
})();
