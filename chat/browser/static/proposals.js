// Cards that can be worked in: an outline's order, two questions answered at once, the mend of a run as a difference.
// The server draws them as text; as long as theirs is the last message, what is needed to answer is built into them.
(() => {
  "use strict";
  const P = window.parlance;
  const { el, button, icon } = P;

  const isLast = (entry) => entry.id === P.entries.at(-1)?.id && !P.head.live;

  const build = {
    outline: (card, entry) => (isLast(entry) ? outline(card, entry.data) : null),
    questions: (card, entry) => (isLast(entry) ? questions(card, entry.data) : null),
    fix: (card, entry) => fix(card, entry.data),
    offer: (card, entry) => P.offer(entry.data),
  };

  // Anew where Gradio has drawn anew, and gone where the conversation went on.
  P.workInCards = () => {
    for (const entry of P.entries) {
      const card = entry.data?.place && document.getElementById(entry.data.place);
      if (!card) continue;
      const wanted = entry.data.kind === "fix" || isLast(entry);
      const has = !!P.$(":scope > .pl-worked", card);
      if (wanted && !has) {
        const made = build[entry.data.kind]?.(card, entry);
        if (made) (card.classList.add("worked"), card.append(made));
      } else if (!wanted && has) (P.$(":scope > .pl-worked", card).remove(), card.classList.remove("worked"));
    }
  };

  // --- an outline ---

  const outline = (card, data) => {
    const list = el("ol", { class: "pl-outline-edit", "aria-label": "Steps" });
    const said = el("span", { class: "pl-unseen", role: "status" });
    const rows = () => [...list.children];
    const words = (row) => P.$(".pl-outline-words", row).textContent;
    const tell = () => rows().forEach((row, n) => {
      P.$("[data-act=up]", row).disabled = n === 0;
      P.$("[data-act=down]", row).disabled = n === rows().length - 1;
    });
    const move = (row, by) => {
      const other = rows()[rows().indexOf(row) + by];
      if (!other) return;
      other[by < 0 ? "before" : "after"](row);
      tell();
      said.textContent = `“${words(row)}” is step ${rows().indexOf(row) + 1} now.`;
    };
    const small = (name, label, act, work) => el("button", { type: "button", class: "pl-icon-button", "data-act": act, title: label, "aria-label": label, onclick: work }, icon(name));
    const strike = (row, sentence) => {
      const struck = row.classList.toggle("struck");
      const act = P.$("[data-act=strike]", row);
      act.title = struck ? "Put it back" : "Strike it";
      act.setAttribute("aria-label", `${act.title}: ${sentence}`);
      act.replaceChildren(icon(struck ? "back" : "close"));
    };
    const rowOf = (sentence, n) => {
      const row = el("li", { "data-number": n === undefined ? null : n + 1, draggable: "true", tabindex: 0, "aria-label": `${sentence}. Alt with an arrow key moves it, Delete strikes it.` },
        el("span", { class: "pl-grip", "aria-hidden": "true" }), el("span", { class: "pl-outline-words" }, sentence),
        el("span", { class: "pl-outline-acts" },
          small("up", `Move up: ${sentence}`, "up", () => move(row, -1)), small("drop", `Move down: ${sentence}`, "down", () => move(row, 1)),
          small("close", `Strike it: ${sentence}`, "strike", () => strike(row, sentence))));
      row.addEventListener("keydown", (event) => {
        const by = event.altKey && { ArrowUp: -1, ArrowDown: 1 }[event.key];
        if (by) (event.preventDefault(), move(row, by), row.focus());
        if (event.target === row && event.key === "Delete") (event.preventDefault(), strike(row, sentence));
      });
      row.addEventListener("dragstart", (event) => ((event.dataTransfer.effectAllowed = "move"), event.dataTransfer.setData("text/plain", sentence), row.classList.add("dragged")));
      row.addEventListener("dragend", () => (row.classList.remove("dragged"), tell()));
      return row;
    };
    list.addEventListener("dragover", (event) => {
      const dragged = P.$(".dragged", list);
      if (!dragged) return;
      event.preventDefault();
      const after = rows().find((row) => row !== dragged && event.clientY < row.getBoundingClientRect().top + row.offsetHeight / 2);
      if (after !== dragged.nextElementSibling) list.insertBefore(dragged, after || null);
    });
    list.addEventListener("drop", (event) => event.preventDefault());
    list.append(...data.steps.map((sentence, n) => rowOf(sentence, n)));
    tell();

    const more = el("input", { type: "text", maxlength: 300, placeholder: "Add a step …", "aria-label": "Add a step" });
    const add = (event) => {
      event.preventDefault();
      if (!more.value.trim()) return;
      list.append(rowOf(more.value.trim()));
      more.value = "";
      tell();
      more.focus();
    };
    const send = () => {
      const kept = rows().filter((row) => !row.classList.contains("struck"));
      if (!kept.length) return P.toast("No step is left.", "Put one back, or say in the chat what you want instead.");
      P.send([...orders(kept, data.steps.length), data.answer].join("\n"));
    };
    return el("div", { class: "pl-worked" }, list, said,
      el("form", { class: "pl-outline-more", onsubmit: add }, more, button("Add", { onclick: add }, "plus")),
      el("div", { class: "pl-acts" }, button("Build it", { class: "main", onclick: send })));
  };

  // What was changed, said as a person would say it: numbers are those of the list as it came.
  const orders = (kept, count) => {
    const numbers = kept.map((row) => Number(row.dataset.number)).filter(Boolean);
    const struck = Array.from({ length: count }, (_, n) => n + 1).filter((n) => !numbers.includes(n));
    const sorted = numbers.every((number, n) => !n || numbers[n - 1] < number);
    const added = kept.map((row, n) => {
      if (row.dataset.number) return null;
      const before = kept.slice(0, n).findLast((other) => other.dataset.number);
      const words = P.$(".pl-outline-words", row).textContent.replaceAll("”", "’");
      return `Add “${words}” ${before ? `after ${before.dataset.number}` : "at the start"}`;
    });
    return [
      ...(!sorted ? [`Order: ${numbers.join(", ")}`] : struck.length ? [`Drop ${struck.join(", ")}`] : []),
      ...added.filter(Boolean).reverse(), // each comes right behind its neighbour: the last one first
    ];
  };

  // --- two questions at once ---

  const questions = (card, data) => {
    const answers = data.questions.map(() => "");
    const go = button("Send answers", { class: "main", disabled: true, onclick: () => P.send(data.questions.map((question, n) => `${question.text.trim()} ${answers[n]}`).join("\n")) });
    const set = (n, value) => ((answers[n] = value.trim()), (go.disabled = answers.some((answer) => !answer)));
    const fields = data.questions.map((question, n) => {
      const own = el("input", { type: "text", placeholder: question.options.length ? "Or in your words …" : "Your answer …", "aria-label": `Answer to: ${question.text}`,
        oninput: () => (set(n, own.value), choices.forEach((choice) => choice.setAttribute("aria-pressed", "false"))),
        onkeydown: (event) => event.key === "Enter" && !event.isComposing && !go.disabled && go.click() });
      const choices = question.options.map((option) => el("button", { type: "button", class: "pl-choice", "aria-pressed": "false", onclick: () => {
        own.value = "";
        choices.forEach((choice, k) => choice.setAttribute("aria-pressed", String(question.options[k] === option)));
        set(n, option.value);
      } }, option.label));
      return el("div", { class: "pl-choices", role: "group", "aria-label": question.text }, ...choices, own);
    });
    // Each below its question; without the script the questions alone stand there.
    P.$$(".pl-question-list > li", card).forEach((row, n) => row.append(fields[n]));
    const foot = el("div", { class: "pl-worked pl-acts" }, go);
    const remove = foot.remove.bind(foot);
    foot.remove = () => (fields.forEach((field) => field.remove()), remove());
    return foot;
  };

  // --- a mend ---

  const fix = (card, data) => {
    const box = el("details", { class: "pl-worked pl-fix-diff" }, el("summary", {}, "Show the change"));
    box.addEventListener("toggle", async () => {
      if (!box.open || box.children.length > 1) return;
      const answer = await P.call("compare_text", { conversation: P.conversation, yaml: data.yaml });
      if (!answer.error) box.append(P.diffRows(answer.rows));
    });
    return box;
  };

  // The node that a card speaks of, in the graph of the workflow.
  P.showNode = async (path) => {
    const name = path.split(/[[/]/)[0]; // a part of a step stands for it
    P.show("graph");
    for (let tries = 0; tries < 60; tries++) {
      const node = P.$(`#pl-tab-graph [data-node="${CSS.escape(name)}"]`);
      if (node?.getBoundingClientRect().width) {
        node.scrollIntoView({ block: "center", inline: "center" });
        node.classList.add("pl-pointed");
        setTimeout(() => node.classList.remove("pl-pointed"), 4000);
        return;
      }
      await new Promise((resume) => setTimeout(resume, 50));
    }
  };
})();
