// The first screen, the switch on phones, and the start.
(() => {
  "use strict";
  const P = window.parlance;
  const { el, icon } = P;

  const welcome = () => {
    const chips = (window.parlanceExamples || []).map(({ title, text }) =>
      el("button", { type: "button", class: "pl-example", onclick: () => P.send(text) }, el("strong", {}, title), el("span", {}, text)));
    return el("section", { class: "pl-welcome", "aria-labelledby": "pl-welcome-title" },
      el("span", { class: "pl-mark big", "aria-hidden": "true" }),
      el("h2", { id: "pl-welcome-title" }, "What should happen?"),
      el("p", {}, "Say it in plain words. You get a workflow you can see, check and run, and the answer right here."),
      el("div", { class: "pl-examples" }, ...chips));
  };

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
        messages.append(welcome());
        P.watchChat(messages);
        app.append(el("div", { class: "pl-lost", role: "alert" }, "The connection was lost. Trying again …"), paneSwitch());
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
