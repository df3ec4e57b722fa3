// The conversation: values for Gradio's chat and message box, and what people do in them.
(() => {
  "use strict";
  const P = window.parlance;
  const log = () => P.$("#pl-messages [role=log]");
  let pinned = true;
  let below = null; // how much is below the top of the view since earlier messages were asked for

  // --- from the server into the chat ---

  P.takeChat = ({ first, entries }) => {
    P.entries = [...P.entries.slice(0, first), ...entries];
    document.body.toggleAttribute("data-pl-empty", !P.entries.length && !P.conversation);
    document.body.toggleAttribute("data-pl-blank", !P.entries.length && !!P.conversation);
    P.push("chat");
  };
  P.chatValue = () => P.entries.map(({ role, content, metadata, options }) => ({ role, content, metadata, options }));

  P.composerValue = () => ({ __type__: "update", submit_btn: !P.head.live, stop_btn: !!P.head.live });

  // --- what people do ---

  // The box is read and emptied in the instant of the key press: what is typed next belongs to the next message.
  const box = () => P.$("#pl-box textarea");
  const setBox = (text) => {
    const area = box();
    area.value = text;
    area.dispatchEvent(new Event("input", { bubbles: true }));
  };
  const sendBox = async () => {
    const text = box().value;
    if (!text.trim() && !P.attached.some()) return;
    if (P.attached.busy()) return P.attached.wait(sendBox);
    const files = P.attached.take();
    if (!text.trim() && !files.length) return;
    setBox("");
    P.send(text, files);
  };
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || !event.target.matches?.("#pl-box textarea")) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    sendBox();
  }, true);

  let unsent = null; // what did not get through keeps its id, so that the server can tell a repeat
  P.send = (text, files = []) => {
    const said = text.trim();
    if (!said && !files.length) return;
    const repeated = unsent?.text === said && unsent.conversation === P.conversation && P.conversation;
    const id = repeated ? unsent.id : crypto.randomUUID?.() || String(Math.random()).slice(2) + Date.now();
    pinned = true;
    P.post(said, id, files);
  };

  // One after the other, in their order. The first message of an empty page makes the conversation of those behind it.
  let tail = Promise.resolve();
  let fresh = { id: null };
  P.freshPage = () => (fresh = { id: null });
  P.post = (text, external_id, files = []) => {
    const [where, page] = [P.conversation, fresh];
    tail = tail.then(() => post(where, page, text, external_id, files));
    return tail;
  };
  const post = async (where, page, text, external_id, files) => {
    const answer = await P.call("send", { conversation: where || page.id, text, external_id, files: files.map((file) => file.id) });
    if (answer.error) {
      P.attached.back(files);
      unsent = { text, id: external_id, conversation: where || page.id };
      if (box()) setBox([text, box().value].filter(Boolean).join("\n")); // nothing typed is lost
      return;
    }
    if (where || page.id) return;
    page.id = answer.conversation;
    if (P.conversation !== null || page !== fresh) return;
    P.moveYaml(answer.conversation);
    P.open(answer.conversation);
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
    run: (id) => ((P.askedRun = id), P.tell("run", { run_id: id }), P.show("run"), P.parts.run.show()),
    retry: (id) => P.retry(id),
    settings: (section) => P.parts.settings.open(section),
    mend: (id, part) => P.mend(id, Number(part)),
    undo: (name, version) => P.undo(Number(version)),
    redo: (name, version) => P.redo(Number(version)),
    node: (name) => P.showNode(name),
    version: (name, version) => P.showVersion(Number(version)),
    answer: (run, node, iteration, value) => P.answer(run, { node: decodeURIComponent(node), iteration: Number(iteration) }, decodeURIComponent(value)),
    reply: (run, node, iteration, text) => P.askAnswer(run, { node: decodeURIComponent(node), iteration: Number(iteration), text: decodeURIComponent(text) }),
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

  document.addEventListener("click", (event) => {
    if (event.target.closest?.("#pl-box .submit-button")) {
      event.stopImmediatePropagation();
      return sendBox();
    }
    const card = event.target.closest?.("#pl-messages .pl-act");
    if (card) return P.act(card.value);
    const option = event.target.closest?.("#pl-messages button.option");
    if (option) {
      const at = P.$$("#pl-messages button.option").indexOf(option);
      const chosen = P.entries.at(-1)?.options?.[at];
      if (chosen) P.send(P.withBudget(chosen.value));
      return;
    }
    const button = event.target.closest?.('#pl-messages button[aria-label="Copy message"]');
    if (button) {
      event.stopImmediatePropagation();
      P.copy(button, groupOf(button).map((entry) => entry.raw).filter(Boolean).join("\n\n"));
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
    P.workInCards();
    const area = box();
    if (area && !area.hasAttribute("aria-label")) area.setAttribute("aria-label", "Message"); // its label may be another control's
    P.$$("#pl-messages [data-testid=user], #pl-messages [data-testid=bot]").forEach(label);
    P.$$("#pl-messages textarea:not([data-pl])").forEach((area) => ((area.dataset.pl = ""), fillEdit(area)));
    P.$$("#pl-box button:not(.pl-clip)").forEach((button) => {
      const name = button.classList.contains("stop-button") ? "Stop" : "Send";
      if (button.getAttribute("aria-label") !== name) button.setAttribute("aria-label", name), (button.title = name);
    });
    // The whole line opens what was thought: its arrow is no button of its own.
    P.$$("#pl-messages .thought-group .arrow").forEach((arrow) => (arrow.inert = true));
    P.attached.settle();
    const view = log();
    if (view && below !== null) {
      view.scrollTop = view.scrollHeight - below;
    } else if (view && pinned) view.scrollTop = view.scrollHeight;
  };

  P.watchChat = (root) => {
    new MutationObserver(settle).observe(P.$("#pl-box"), { subtree: true, childList: true });
    new MutationObserver(settle).observe(root, { subtree: true, childList: true, characterData: true, attributeFilter: ["aria-label"] });
    root.addEventListener("scroll", (event) => {
      const view = event.target;
      if (view === log()) pinned = view.scrollHeight - view.scrollTop - view.clientHeight < 90;
    }, true);
    // Earlier messages come piece by piece; what is read stays where it is until the reader moves.
    for (const kind of ["wheel", "touchmove", "pointerdown", "keydown"]) addEventListener(kind, () => (below = null), { capture: true, passive: true });
    settle();
  };

  // Escape in a field means that field; in the message box, or nowhere in particular, it means the turn.
  const editsElsewhere = (node) =>
    !!node.closest?.("input, textarea, select, [contenteditable=true], .cm-editor, [role=listbox], [role=combobox]") && !node.matches("#pl-box textarea");

  document.addEventListener("keydown", (event) => {
    const area = event.target;
    const editing = area.matches?.("#pl-messages textarea");
    if (editing && event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      area.closest(".message-row").nextElementSibling?.querySelector("button")?.click();
    } else if (event.key === "Escape" && editing) {
      area.closest(".message-row").nextElementSibling?.querySelectorAll("button")[1]?.click();
    } else if (event.key === "Escape" && P.head.live && !document.querySelector("dialog[open]") && !editsElsewhere(area)) {
      P.stop();
    }
  });
})();
