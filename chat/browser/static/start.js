// The first screen, the switch on phones, and the start.
(() => {
  "use strict";
  const P = window.parlance;
  const { el, icon } = P;

  // What this is, what to try, and where things are: all on one screen, and none of it in the way.
  const welcome = () => {
    const tries = (window.parlanceExamples || []).map(({ title, text }) =>
      el("button", { type: "button", class: "pl-example", onclick: () => P.send(text) }, el("strong", {}, title), el("span", {}, text)));
    const link = (text, sign, work) => el("button", { type: "button", class: "pl-quiet", onclick: work }, icon(sign), el("span", {}, text));
    const part = (name, tab, words) => el("li", {}, el("button", { type: "button", class: "pl-link", onclick: () => P.show(tab) }, name), ` · ${words}`);
    return el("section", { class: "pl-welcome", "aria-labelledby": "pl-welcome-title" },
      el("span", { class: "pl-mark big", "aria-hidden": "true" }),
      el("h2", { id: "pl-welcome-title" }, "What should happen?"),
      el("p", {}, "Say it in plain words. You get a workflow you can see, check and run, and the answer right here."),
      el("div", { class: "pl-examples" }, ...tries),
      el("div", { class: "pl-ways" }, link(`All ${window.parlanceTemplates} templates`, "grid", () => P.gallery()), link("Open a YAML file", "file", () => P.pickFile()), link("Find anything", "search", () => P.palette())),
      el("ul", { class: "pl-legend", "aria-label": "Where things are" },
        part("Graph", "graph", "the steps, live while they run"), part("YAML", "yaml", "the same as text, yours to edit"),
        part("Run", "run", "the inputs, the price, the result"), part("Versions", "versions", "every change, and the way back")));
  };

  // A workflow that came from a template, a file or the list, before the first word about it.
  const begun = () =>
    el("section", { class: "pl-begun", "aria-label": "How to go on" },
      el("p", {}, "The workflow is ready. Run it, or say what should be different."),
      el("div", { class: "pl-ways" }, P.button("Run it", { class: "main", onclick: () => P.runNow() }, "play"), P.button("Look at it", { onclick: () => P.show("graph") }, "flow")));

  const paneSwitch = () => {
    const tab = (name, text, sign) => el("button", { type: "button", value: name, "aria-pressed": "false", onclick: () => P.pane(name) }, icon(sign), el("span", {}, text));
    return el("nav", { class: "pl-switch", "aria-label": "Parts of the page" }, tab("side", "Chats", "list"), tab("chat", "Chat", "chats"), tab("work", "Workflow", "flow"));
  };

  // Gradio loads its components one by one: wait for those the page cannot do without.
  const whenThere = (selectors, go) => {
    const found = selectors.map((selector) => P.$(selector));
    if (found.every(Boolean)) return go(...found);
    const watch = new MutationObserver(() => {
      if (selectors.every((selector) => P.$(selector))) (watch.disconnect(), go(...selectors.map((selector) => P.$(selector))));
    });
    watch.observe(document.body, { childList: true, subtree: true });
  };

  P.parts.dialogs = {
    mount() {
      whenThere(["#pl-messages", "#pl-box textarea", "#pl-app", "#pl-tabs"], (messages, box, app, tabs) => {
        messages.prepend(el("button", { type: "button", class: "pl-earlier pl-button", onclick: () => P.act("earlier") }, "Load earlier messages"));
        messages.append(welcome(), begun());
        P.watchChat(messages);
        P.watchTheme();
        app.append(el("div", { class: "pl-lost", role: "alert" }, el("span", {}, "The connection was lost. Trying again …"), el("small", {}, "If the server was stopped, start it: nothing is lost.")), paneSwitch());
        tabs.addEventListener("click", (event) => {
          const tab = event.target.closest("[role=tab]");
          if (tab) P.tab = tab.textContent.trim().toLowerCase();
        });
        P.pane("chat");
        P.takeChat({ first: 0, entries: P.entries });
        box.focus();
        document.body.dataset.plReady = "";
      });
    },
  };

  P.conversation = new URL(location).searchParams.get("c");
  P.takeYaml(null);
  P.connect();
  P.adopt();
})();
