// The way to a message of the conversation, from wherever its words are quoted.
(() => {
  "use strict";
  const P = window.parlance;
  const { el } = P;
  const LOADS = 40; // how many times earlier messages are asked for

  // Gradio draws the messages of one side that follow each other as one row.
  const rowOf = (id) => {
    let row = -1;
    let before = null;
    for (const entry of P.entries) {
      if (entry.role !== before) row++;
      before = entry.role;
      if (entry.id === id) return P.$$("#pl-messages .message-row")[row] || null;
    }
    return null;
  };

  const until = async (holds, tries = 100) => {
    for (; tries > 0; tries--) {
      const found = holds();
      if (found) return found;
      await new Promise((resume) => setTimeout(resume, 50));
    }
    return null;
  };

  const show = (row) => {
    row.scrollIntoView({ block: "center", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
    row.classList.remove("pl-found");
    void row.offsetWidth; // so that the colour begins anew
    row.classList.add("pl-found");
    row.tabIndex = -1;
    row.focus({ preventScroll: true });
    setTimeout(() => row.classList.remove("pl-found"), 2600);
  };

  P.goTo = async (conversation, message) => {
    if (conversation && conversation !== P.conversation) P.open(conversation);
    P.pane("chat");
    await until(() => P.entries.length);
    for (let loads = 0; loads < LOADS && !rowOf(message) && P.head.earlier; loads++) {
      const first = P.entries[0];
      P.tell("earlier");
      if (!(await until(() => P.entries[0] !== first))) break;
    }
    const row = await until(() => rowOf(message), P.entries.some((entry) => entry.id === message) ? 60 : 1);
    if (row) show(row);
    else P.toast("This message is not in the conversation any more.", "It was edited or taken back since.");
  };

  // Who, and when.
  const WHO = { assistant: "the assistant", editor: "you, in the editor", api: "the API", "command line": "the command line", restore: "you, going back" };
  P.madeBy = (version) => WHO[version.author] || version.author;

  // What somebody asked for, in his own words; a click goes there.
  P.quote = (version, most = 280) => {
    const said = (version.request || "").trim();
    if (!said) return null;
    const words = said.length > most ? `${said.slice(0, most).replace(/\s+\S*$/, "")} …` : said;
    if (!version.request_id) return el("p", { class: "pl-quote" }, `“${words}”`);
    return el("button", { type: "button", class: "pl-quote", title: "Go to this message", "aria-label": `Go to the message: ${words}`,
      onclick: () => P.goTo(version.conversation_id, version.request_id) }, `“${words}”`);
  };
})();
