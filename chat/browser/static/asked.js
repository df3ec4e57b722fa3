// What a run asks a person: cards in the Run tab, a dialog for the conversation, and the way of an answer.
(() => {
  "use strict";
  const P = window.parlance;
  const { el, button, made } = P;

  // Who answers second is told who was first, where he stands.
  P.answer = async (run, question, value, told = null) => {
    const answer = await P.call("answer", { run, node: question.node, iteration: question.iteration, value }, { quiet: true });
    const fix = [answer.at && `It was at ${new Date(answer.at).toLocaleString()}.`, answer.fix].filter(Boolean).join(" ");
    if (answer.error && told) told.textContent = [answer.error, fix].filter(Boolean).join(" ");
    else if (answer.error) P.toast(answer.error, fix);
    return !answer.error;
  };

  const field = (name) => el("textarea", { rows: 2, "aria-label": name, class: "pl-answer" });

  P.askAnswer = (run, question) => {
    const area = field("Your answer");
    const told = el("p", { class: "failed", role: "alert" });
    const send = async (event) => {
      event.preventDefault();
      if (area.value.trim() && (await P.answer(run, question, area.value.trim(), told))) dialog.close();
    };
    const dialog = el("dialog", { class: "pl-dialog small", "aria-labelledby": "pl-answer-title", onclose: () => dialog.remove() },
      el("form", { method: "dialog", onsubmit: send },
        el("h2", { id: "pl-answer-title" }, "Answer"),
        el("p", {}, question.text), area, told,
        el("div", { class: "pl-dialog-acts" },
          el("button", { type: "button", class: "pl-button", onclick: () => dialog.close() }, "Cancel"),
          el("button", { class: "pl-button main" }, "Send the answer"))));
    document.body.append(dialog);
    dialog.showModal();
    area.focus();
  };

  // The cards are kept as long as their question stays the same: nobody's half-typed answer is lost.
  const cards = new Map();
  P.questionsOf = (run) => {
    const shown = new Set();
    const nodes = run.questions.map((question) => {
      const key = `${run.run_id} ${question.node} ${question.iteration} ${question.asked_at}`;
      const state = JSON.stringify(question);
      shown.add(key);
      if (cards.get(key)?.state !== state) cards.set(key, { state, node: card(run, question) });
      return cards.get(key).node;
    });
    for (const key of cards.keys()) if (!shown.has(key)) cards.delete(key);
    return nodes;
  };

  const card = (run, question) => {
    const doubt = question.kind === "effect";
    const status = doubt ? "unknown" : "waiting";
    const said = question.open ? "open" : question.answer ? "answered" : "over";
    return el("section", { class: `pl-asked ${status} ${said}`, "aria-label": doubt ? "May have happened" : "A question to you" },
      el("div", { class: "pl-asked-head" }, el("span", { class: `pl-glyph ask ${status}` }), el("strong", {}, doubt ? "May have happened" : "A question to you"),
        el("span", { class: "pl-faint" }, question.node), el("span", { class: "pl-grow" }), el("span", { class: `pl-tag ${question.open ? status : ""}` }, said)),
      made("div", { class: "pl-question" }, question.html),
      ...(question.open ? open(run, question) : [over(question)]));
  };

  const over = (question) =>
    question.answer
      ? el("p", { class: "pl-answered" }, el("strong", {}, question.answer), ` · answered by ${question.by}${question.answered_at ? `, ${new Date(question.answered_at).toLocaleString()}` : ""}`)
      : el("p", { class: "pl-answered" }, "The run ended without an answer.");

  const open = (run, question) => {
    const told = el("p", { class: "failed", role: "alert" });
    const acts = el("div", { class: "pl-asked-acts" });
    const give = async (value) => {
      acts.inert = true;
      if (!(await P.answer(run.run_id, question, value, told))) acts.inert = false;
    };
    if (question.options.length) {
      acts.append(...question.options.map((option, n) => button(option.label, { class: n === 0 && question.kind !== "effect" ? "main" : "", onclick: () => give(option.value) })));
    } else {
      const area = field("Your answer");
      area.addEventListener("keydown", (event) => event.key === "Enter" && !event.shiftKey && !event.isComposing && (event.preventDefault(), area.value.trim() && give(area.value.trim())));
      acts.append(area, button("Send", { class: "main", "aria-label": "Send the answer", onclick: () => area.value.trim() && give(area.value.trim()) }));
    }
    const due = question.due_at && el("p", { class: "pl-faint" }, `Until ${new Date(question.due_at).toLocaleString()}${question.default ? `, then “${question.default}” is taken.` : ", then the step fails."}`);
    return [acts, ...(due ? [due] : []), told];
  };
})();
