// The YAML tab: checked as one types, problems by line, a click goes to the line, saving makes a version.
(() => {
  "use strict";
  const P = window.parlance;
  const { el, button } = P;
  let text = ""; // in the editor
  let base = ""; // what `text` was before somebody edited it; null when that is not at hand
  let saved = ""; // of the newest version
  let basis = null; // name and version of `base`
  let newer = false; // a version came while there were changes
  let aside = []; // unsaved texts that were put away to look at another one
  let place; // the conversation whose text this is
  let echoes = []; // what was put into the editor a moment ago: Gradio tells of it late, and in between
  let checked = null;
  let head = null;
  let list = null;
  let here = 0; // the line last jumped to, shown for a moment
  let summary = "Edited by hand";

  const dirty = () => text !== saved;
  const edited = () => text !== base;
  const nameOf = (workflow) => (workflow ? `${workflow.name}@${workflow.version}` : null);

  P.takeYaml = (workflow) => {
    if (P.conversation !== place) enter(P.conversation);
    saved = workflow?.yaml || "";
    if (basis === nameOf(workflow) && base === null) base = saved;
    if (text === saved || base === saved) {
      if (text === saved) base = saved;
      basis = nameOf(workflow);
      newer = false;
    } else if (edited()) {
      newer = !!workflow && basis !== nameOf(workflow);
    } else {
      load(workflow);
    }
    if (!edited() && workflow) checked = { problems: workflow.problems, patches: workflow.patches, verdict: workflow.verdict, ok: workflow.ok };
    else if (!edited()) checked = null;
    keep();
    show();
  };

  // Another conversation: its own unsaved text comes back, with what it was begun from.
  const enter = (conversation) => {
    place = conversation;
    const kept = P.kept.get(conversation);
    aside = kept?.aside || [];
    basis = kept?.basis ?? null;
    base = kept && kept.text !== null ? null : "";
    checked = null;
    here = 0;
    summary = "Edited by hand";
    put(kept?.text ?? "");
    if (kept && kept.text !== null) check();
  };

  // The text typed before the first message belongs to the conversation that this message makes.
  P.moveYaml = (conversation) => {
    P.kept.move(null, conversation);
    place = conversation;
  };

  const load = (workflow) => {
    base = workflow?.yaml || "";
    basis = nameOf(workflow);
    put(base);
  };

  const keep = () => {
    const mine = edited() ? text : null;
    P.kept.set(place, mine === null && !aside.length ? null : { text: mine, basis, aside });
  };

  const put = (value) => {
    echoes.push({ value: text, until: Date.now() + 1500 });
    text = value;
    newer = false;
    P.push("yaml");
  };
  P.yamlValue = () => text;

  // Gradio tells of every change, also of those that came from here, and of these late.
  P.typed = (value) => {
    value ||= "";
    if (value === text) return mark();
    echoes = echoes.filter((echo) => echo.until > Date.now());
    if (echoes.some((echo) => echo.value === value)) return settle();
    here = 0;
    text = value;
    keep();
    show();
    check();
  };

  const settle = P.later(1600, () => view() && P.typed(view().state.doc.toString()));

  const putAside = () => edited() && text.trim() && aside.push({ text, basis });

  const showNewest = () => {
    load(P.workflow);
    keep();
    show();
    check();
  };

  const takeBack = () => {
    const mine = aside.pop();
    putAside();
    ({ basis } = mine);
    base = basis === nameOf(P.workflow) ? saved : null;
    put(mine.text);
    newer = !!P.workflow && basis !== nameOf(P.workflow);
    keep();
    show();
    check();
  };

  const check = P.later(250, async () => {
    const asked = text;
    const found = await P.call("check", { yaml: asked }, { quiet: true });
    if (asked === text && !found.error) {
      checked = text.trim() ? found : null;
      show();
    }
  });

  // A draft that was not saved, from its card in the chat.
  P.mend = (message, part) => P.tell("draft", { message, part });
  P.takeDraft = ({ yaml }) => {
    putAside();
    put(yaml);
    keep();
    summary = "Mended by hand";
    P.show("yaml");
    show();
    check();
  };

  const save = async (given) => {
    const sent = text;
    const from = P.conversation;
    const answer = await P.call("save", { conversation: from, yaml: sent, summary }, given);
    if (!answer.error) wasSaved(sent, from, answer);
    return answer;
  };

  const wasSaved = (sent, from, answer) => {
    if (!from && P.conversation === null) {
      P.moveYaml(answer.conversation);
      P.open(answer.conversation, { pane: "work" });
    }
    if (place !== answer.conversation) return P.kept.set(answer.conversation, null);
    base = saved = sent; // what was typed meanwhile is an edit of this
    basis = null;
    summary = "Edited by hand";
    keep();
    show();
  };

  // What stands in the editor is what runs: it is saved first, and run with the form of that version.
  let starting = false;
  P.saveAndRun = async () => {
    if (starting) return;
    starting = true;
    P.keepForm(true);
    const answer = await save({ quiet: true });
    if (answer.error) {
      P.toast("Nothing was run, as the text was not saved.", [answer.error, answer.fix].filter(Boolean).join(" "));
      P.show("yaml");
    } else if (!(await runVersion(answer))) P.toast("It was saved, but not run.", "Press “Run workflow”.");
    P.keepForm(false);
    starting = false;
  };

  const runVersion = async ({ conversation, workflow, version }) => {
    for (let tries = 0; tries < 200 && P.conversation === conversation; tries++) {
      const form = P.$(`#pl-run.pl-of-${CSS.escape(`${workflow}-${version}`)}`);
      if (form) return form.click(), true;
      await new Promise((resume) => setTimeout(resume, 50));
    }
    return false;
  };

  // For the Run tab: that Run means this text, or, where no form is yet, how to get one.
  P.unsavedIn = () => {
    if (!dirty()) return [];
    if (P.workflow) return [bar("The text in the editor is not saved. Running it saves it first, as a new version.", button("Look at it", { onclick: () => P.show("yaml") }))];
    return text.trim() ? [bar("The text in the editor is not saved. Save it, and its inputs are asked for here.", button("Open the editor", { onclick: () => P.show("yaml") }))] : [];
  };

  const patch = async () => {
    const asked = text;
    const answer = await P.call("patch", { yaml: asked });
    if (!answer.error && asked === text) (put(answer.yaml), keep(), show(), check());
  };

  const show = () => {
    const some = !!(text.trim() || P.workflow);
    document.body.toggleAttribute("data-pl-yaml", some);
    document.body.toggleAttribute("data-pl-dirty", dirty());
    if (head) {
      const left = el("span", { class: "pl-work-name" },
        el("strong", {}, P.workflow?.name || "New workflow"),
        P.workflow && !dirty() && el("span", { class: "pl-tag" }, `version ${P.workflow.version}`),
        dirty() && el("span", { class: "pl-tag waiting" }, "not saved"));
      const right = el("span", { class: "pl-work-acts" },
        checked?.patches > 0 && button(checked.patches === 1 ? "Apply fix" : `Apply ${checked.patches} fixes`, { onclick: patch }, "wand"),
        dirty() && P.workflow && button("Discard", { onclick: showNewest }),
        button("Save", { class: "main", onclick: () => save(), disabled: !dirty() || !checked?.ok }));
      head.replaceChildren(left, right, ...bars());
    }
    if (list) showProblems();
    P.parts.run.unsaved();
    mark();
  };

  const bar = (words, ...acts) => el("div", { class: "pl-newer", role: "status" }, el("span", {}, words), el("span", { class: "pl-work-acts" }, ...acts));
  const bars = () => {
    const found = [];
    if (newer) found.push(bar(`Version ${P.workflow.version}${basis && basis.split("@")[0] !== P.workflow.name ? ` of ${P.workflow.name}` : ""} came while you were editing.`, button("Show it", { onclick: () => (putAside(), showNewest()) })));
    if (aside.length) {
      const drop = () => (aside.pop(), keep(), show());
      found.push(bar("Your own text is kept.", button("Take it back", { onclick: takeBack }), button("Drop it", { onclick: drop })));
    }
    return found;
  };

  const showProblems = () => {
    const problems = checked?.problems || [];
    const line = checked
      ? el("div", { class: `pl-verdict ${checked.ok ? "ok" : "failed"}` }, el("span", { class: `pl-dot ${checked.ok ? (problems.length ? "waiting" : "ok") : "failed"}` }),
          el("span", {}, problems.length ? checked.verdict : "No problems"))
      : "";
    const rows = problems.map((p) =>
      el("li", {}, el("button", { type: "button", class: p.severity, onclick: () => P.jump(p.line, p.column) },
        el("span", { class: "pl-line" }, `line ${p.line}`), el("span", {}, p.message), p.patch && el("span", { class: "pl-tag" }, "fix at hand"))));
    list.replaceChildren(line, el("ul", { class: "pl-problem-list" }, ...rows));
    list.setAttribute("aria-live", "polite");
  };

  // --- the editor's own view: Gradio's component is CodeMirror, whose view hangs on its node ---

  const view = () => {
    const content = P.$("#pl-code .cm-content");
    return content?.cmTile?.view || content?.cmView?.rootView?.view || content?.cmView?.view || null;
  };

  P.editorView = view;
  P.savedYaml = () => saved;

  // In its light theme keys and strings look the same, and pale. Which of its classes is which is read from what it
  // has drawn, as their names are made up by the editor; the colours are ours.
  const kinds = new Map();
  const kindOf = (span) => {
    const said = span.textContent.trim();
    if (/^['"]/.test(said)) return "string";
    if (said.startsWith("#")) return "comment";
    if (/^[\s:,[\]{}&*!>|?-]+$/.test(said)) return "sign";
    if (span.nextSibling?.textContent.trimStart().startsWith(":")) return "key";
    return /^-?[0-9.]+$|^(true|false|null)$/.test(said) ? "literal" : null;
  };
  const paint = (editor) => {
    const before = kinds.size;
    for (const span of editor.contentDOM.querySelectorAll(".cm-line > span[class^='ͼ']")) {
      if (kinds.has(span.className) || / /.test(span.className)) continue;
      const kind = kindOf(span);
      if (kind) kinds.set(span.className, kind);
    }
    if (kinds.size === before) return;
    const sheet = P.$("#pl-code-colours") || document.head.appendChild(el("style", { id: "pl-code-colours" }));
    sheet.textContent = [...kinds].map(([name, kind]) => `body #pl-code .cm-line .${CSS.escape(name)} { color: var(--pl-code-${kind}); }`).join("\n");
  };

  const mark = () => {
    const editor = view();
    if (!editor) return;
    paint(editor);
    const scroller = editor.scrollDOM;
    let layer = P.$(".pl-marks", scroller);
    if (!layer) {
      layer = scroller.appendChild(el("div", { class: "pl-marks", "aria-hidden": "true" }));
      new ResizeObserver(() => mark()).observe(editor.contentDOM);
    }
    const worst = new Map();
    for (const p of checked?.problems || []) if (worst.get(p.line) !== "error") worst.set(p.line, p.severity);
    const lines = [...worst, ...(here ? [[here, "here"]] : [])].filter(([line]) => line <= editor.state.doc.lines);
    layer.replaceChildren(...lines.map(([line, kind]) => {
      const block = editor.lineBlockAt(editor.state.doc.line(line).from);
      const node = el("i", { class: kind, "data-line": line });
      node.style.top = `${block.top + editor.documentPadding.top}px`;
      node.style.height = `${block.height}px`;
      return node;
    }));
  };

  P.jump = async (line, column = 1) => {
    P.show("yaml");
    for (let tries = 0; tries < 60; tries++) {
      const editor = view();
      if (editor && editor.state.doc.lines >= Math.min(line, (text.match(/\n/g) || []).length + 1) && editor.dom.offsetParent) {
        const at = editor.state.doc.line(Math.min(line, editor.state.doc.lines));
        const from = Math.min(at.from + Math.max(column - 1, 0), at.to);
        editor.dispatch({ selection: { anchor: from }, scrollIntoView: true });
        editor.focus();
        const top = editor.lineBlockAt(at.from).top;
        editor.scrollDOM.scrollTo({ top: Math.max(0, top - editor.scrollDOM.clientHeight / 3) });
        here = at.number;
        mark();
        return;
      }
      await new Promise((resume) => setTimeout(resume, 50));
    }
  };

  P.parts.yaml = { mount: (root) => ((head = root), root.classList.add("pl-work-head"), show()) };
  P.parts.problems = {
    mount: (root) => {
      list = el("div", { class: "pl-problems-list" });
      root.replaceChildren(P.whyBar(), list);
      show();
      // The editor itself is loaded when its tab is first opened.
      const wait = setInterval(() => view() && (clearInterval(wait), mark()), 60);
      setTimeout(() => clearInterval(wait), 8000);
    },
  };
})();
