// The YAML tab: checked as one types, problems by line, a click goes to the line, saving makes a version.
(() => {
  "use strict";
  const P = window.parlance;
  const { el, button } = P;
  let text = ""; // in the editor
  let saved = ""; // of the newest version
  let basis = null; // name and version the text was loaded from
  let newer = false; // a version came while there were changes
  let loading = null; // a text on its way into the editor
  let checked = null;
  let head = null;
  let list = null;
  let here = 0; // the line last jumped to, shown for a moment
  let summary = "Edited by hand";

  const dirty = () => text !== saved;

  P.takeYaml = (workflow) => {
    const name = workflow ? `${workflow.name}@${workflow.version}` : null;
    const changed = dirty() && basis !== null && workflow && basis.split("@")[0] === workflow.name;
    saved = workflow?.yaml || "";
    if (changed && name !== basis && text !== saved) {
      newer = true;
    } else if (name !== basis) {
      basis = name;
      put(saved);
      checked = workflow && { problems: workflow.problems, patches: workflow.patches, verdict: workflow.verdict, ok: workflow.ok };
    }
    show();
  };

  const put = (value) => {
    text = loading = value;
    newer = false;
    P.push("yaml");
  };
  P.yamlValue = () => text;

  // Gradio tells of every change, also of those that came from here.
  P.typed = (value) => {
    if (value === loading) loading = null;
    if (value === text) return mark();
    here = 0;
    text = value || "";
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
    put(yaml);
    summary = "Mended by hand";
    P.show("yaml");
    show();
    check();
  };

  const save = async () => {
    const answer = await P.call("save", { conversation: P.conversation, yaml: text, summary });
    if (answer.error) return;
    saved = text;
    basis = null;
    summary = "Edited by hand";
    if (!P.conversation) P.open(answer.conversation, { pane: "work" });
    show();
  };

  const patch = async () => {
    const answer = await P.call("patch", { yaml: text });
    if (!answer.error) (put(answer.yaml), show(), check());
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
        dirty() && P.workflow && button("Discard", { onclick: () => (put(saved), (basis = `${P.workflow.name}@${P.workflow.version}`), show(), check()) }),
        button("Save", { class: "main", onclick: save, disabled: !dirty() || !checked?.ok }));
      head.replaceChildren(left, right,
        ...(newer ? [el("div", { class: "pl-newer" }, el("span", {}, `Version ${P.workflow.version} came while you were editing.`),
          button("Show it", { onclick: () => (put(saved), (basis = `${P.workflow.name}@${P.workflow.version}`), show(), check()) }))] : []));
    }
    if (list) showProblems();
    mark();
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

  const mark = () => {
    const editor = view();
    if (!editor) return;
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
      list = root;
      show();
      // The editor itself is loaded when its tab is first opened.
      const wait = setInterval(() => view() && (clearInterval(wait), mark()), 60);
      setTimeout(() => clearInterval(wait), 8000);
    },
  };
})();
