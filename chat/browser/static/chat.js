// The conversation: values for Gradio's chat and message box, and what people do in them.
(() => {
  "use strict";
  const P = window.parlance;
  const log = () => P.$("#pl-messages [role=log]");
  let pinned = true;
  let below = null; // how much was below the top of the view when earlier messages were asked for
  let draft = "";

  // --- from the server into the chat ---

  P.takeChat = ({ first, entries }) => {
    P.entries = [...P.entries.slice(0, first), ...entries];
    document.body.toggleAttribute("data-pl-empty", !P.entries.length && !P.conversation);
    P.push("chat");
  };
  P.chatValue = () => P.entries.map(({ role, content, metadata, options }) => ({ role, content, metadata, options }));

  P.composerValue = () => ({ __type__: "update", submit_btn: !P.head.live, stop_btn: !!P.head.live, ...(draft ? { value: draft } : {}) });

  // --- what people do ---

  P.send = (text) => {
    const said = (text || "").trim();
    if (!said) return text;
    const id = crypto.randomUUID?.() || String(Math.random()).slice(2) + Date.now();
    pinned = true;
    P.post(said, id);
    return "";
  };

  // The first message makes the conversation; what is sent meanwhile waits, so that it goes there too.
  let making = null;
  P.post = async (text, external_id) => {
    if (making) await making;
    const before = P.conversation;
    const sending = (async () => {
      const answer = await P.call("send", { conversation: before, text, external_id });
      if (answer.error) {
        draft = text; // nothing typed is lost
        P.push("composer");
        setTimeout(() => (draft = ""), 50);
      } else if (!before && P.conversation === null) P.open(answer.conversation);
    })();
    if (!before) making = sending.finally(() => (making = null));
    await sending;
  };

  P.stop = () => P.conversation && P.call("stop", { conversation: P.conversation });

  P.retry = (message) => {
    const last = P.entries.findLast((entry) => entry.role === "assistant");
    const id = message || last?.id;
    if (id) P.call("retry", { conversation: P.conversation, message: id });
  };

  // Gradio's chat has put the new text where the message was; the message is the one that differs.
  P.edited = (value) => {
    const at = P.entries.findIndex((entry, n) => entry.role === "user" && value[n]?.content?.[0]?.text !== entry.content[0].text);
    if (at < 0) return;
    const text = value[at].content[0].text.trim();
    const entry = P.entries[at];
    P.entries = P.entries.map((e, n) => (n === at ? { ...e, content: [...e.content] } : e));
    P.push("chat");
    if (text && text !== entry.raw) P.call("edit", { conversation: P.conversation, message: entry.id, text });
  };

  const acts = {
    show: (tab) => P.show(tab),
    run: (id) => (P.tell("run", { run_id: id }), P.show("run")),
    retry: (id) => P.retry(id),
    settings: () => P.parts.settings.open(),
    mend: (id, part) => P.mend(id, Number(part)),
    earlier: () => ((below = log().scrollHeight - log().scrollTop), P.tell("earlier")),
  };
  P.act = (value) => {
    const [name, ...rest] = value.split(":");
    acts[name]?.(...rest);
  };

  // --- what Gradio's chat cannot know ---

  // Its buttons copy and edit what it was given, which is our markup: hand them the words instead.
  const groups = () => {
    const found = [];
    for (const entry of P.entries) {
      if (found.at(-1)?.[0].role === entry.role) found.at(-1).push(entry);
      else found.push([entry]);
    }
    return found;
  };
  const groupOf = (node) => {
    const panels = P.$$("#pl-messages .message-buttons");
    const panel = node.closest(".message-buttons");
    return groups()[panels.indexOf(panel)] || [];
  };

  const copy = async (button, text) => {
    try {
      await navigator.clipboard.writeText(text);
      button.classList.add("pl-done");
      setTimeout(() => button.classList.remove("pl-done"), 1200);
    } catch {
      P.toast("The browser did not allow to copy.", "Mark the text and copy it by hand.");
    }
  };

  document.addEventListener("click", (event) => {
    const card = event.target.closest?.("#pl-messages .pl-act");
    if (card) return P.act(card.value);
    const option = event.target.closest?.("#pl-messages button.option");
    if (option) {
      const at = P.$$("#pl-messages button.option").indexOf(option);
      const chosen = P.entries.at(-1)?.options?.[at];
      if (chosen) P.send(chosen.value);
      return;
    }
    const button = event.target.closest?.('#pl-messages button[aria-label="Copy message"]');
    if (button) {
      event.stopImmediatePropagation();
      copy(button, groupOf(button).map((entry) => entry.raw).filter(Boolean).join("\n\n"));
    }
  }, true);

  const fillEdit = (area) => {
    const row = area.closest(".message-row");
    const group = groups()[P.$$("#pl-messages .message-row").indexOf(row)] || [];
    const entry = group[[...row.querySelectorAll(".message .message, .message > .message, textarea")].filter((n) => n.tagName === "TEXTAREA").indexOf(area)];
    if (!entry) return;
    area.value = entry.raw;
    area.dispatchEvent(new Event("input", { bubbles: true }));
    area.setAttribute("aria-label", "Edit your message");
    area.style.height = `${Math.min(area.scrollHeight + 4, 400)}px`;
  };

  // Screen readers are told the words of a message, not our markup.
  const label = (node) => {
    const wanted = node.dataset.testid === "user" ? "You said" : "Parlance said";
    if (node.getAttribute("aria-label") !== wanted) node.setAttribute("aria-label", wanted);
  };

  const settle = () => {
    P.$$("#pl-messages [data-testid=user], #pl-messages [data-testid=bot]").forEach(label);
    P.$$("#pl-messages textarea:not([data-pl])").forEach((area) => ((area.dataset.pl = ""), fillEdit(area)));
    P.$$("#pl-box button").forEach((button) => {
      const name = button.classList.contains("stop-button") ? "Stop" : "Send";
      if (button.getAttribute("aria-label") !== name) button.setAttribute("aria-label", name), (button.title = name);
    });
    const view = log();
    if (view && below !== null && view.scrollHeight > below + 1) {
      view.scrollTop = view.scrollHeight - below;
      below = null;
    } else if (view && pinned) view.scrollTop = view.scrollHeight;
  };

  P.watchChat = (root) => {
    new MutationObserver(settle).observe(P.$("#pl-box"), { subtree: true, childList: true });
    new MutationObserver(settle).observe(root, { subtree: true, childList: true, characterData: true, attributeFilter: ["aria-label"] });
    root.addEventListener("scroll", (event) => {
      const view = event.target;
      if (view === log()) pinned = view.scrollHeight - view.scrollTop - view.clientHeight < 90;
    }, true);
    settle();
  };

  document.addEventListener("keydown", (event) => {
    const area = event.target;
    const editing = area.matches?.("#pl-messages textarea");
    if (editing && event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      area.closest(".message-row").nextElementSibling?.querySelector("button")?.click();
    } else if (event.key === "Escape" && editing) {
      area.closest(".message-row").nextElementSibling?.querySelectorAll("button")[1]?.click();
    } else if (event.key === "Escape" && P.head.live && !document.querySelector("dialog[open]")) {
      P.stop();
    }
  });
})();
