// The Versions tab: each change of the YAML, who asked for it, what it changed, and the way back.
(() => {
  "use strict";
  const P = window.parlance;
  const { el, button } = P;
  let root = null;
  let picked = null; // a version's number
  let against = null; // what it is compared with; null: the one before
  let shown = null; // what the server said of these two
  let tests = null; // those of the workflow
  let heard = 0; // entries of the conversation by then: a test may have been kept in a new one
  let about = null; // which workflow, at which version, all this is of

  const now = () => (P.workflow ? `${P.conversation} ${P.workflow.name}@${P.workflow.version}` : null);

  P.parts.versions = {
    mount(node) {
      root = node;
      this.show();
    },
    show() {
      undoable();
      if (!root) return;
      const versions = P.workflow?.versions || [];
      if (!versions.length) {
        picked = about = null;
        return root.replaceChildren(el("div", { class: "pl-empty" }, el("h2", {}, "No versions yet"), el("p", {}, "Every change of the workflow is kept here. Nothing is ever overwritten, and you can go back.")));
      }
      if (about !== now()) {
        about = now();
        pick(versions[0].version);
      } else if (!shown?.proof || heard !== P.entries.length) ask(); // what is verified is kept some moments after the version, tests when somebody says yes
      else draw();
    },
  };

  P.showVersion = (version) => {
    P.show("versions");
    if (P.workflow?.versions.some((each) => each.version === version)) pick(version);
  };

  const pick = (version, other = null) => {
    if (picked !== version) shown = null;
    [picked, against] = [version, other];
    ask();
    draw();
  };

  let number = 0;
  const ask = async () => {
    const mine = ++number;
    heard = P.entries.length;
    const conversation = P.conversation;
    const [answer, found] = await Promise.all([
      P.call("compare", { conversation, version: picked, against }, { quiet: true }),
      P.call("tests", { conversation }, { quiet: true }),
    ]);
    if (mine !== number || about !== now()) return;
    shown = answer;
    tests = found.tests || [];
    draw();
  };

  const draw = () => {
    if (!root || !P.workflow) return;
    const versions = P.workflow.versions;
    const focus = document.activeElement?.closest?.("#pl-versions-island") && document.activeElement.dataset.keep;
    const scroll = P.$(".pl-versions", root)?.scrollTop || 0;
    const list = el("ol", { class: "pl-versions", "aria-label": "Versions" }, ...versions.map((version) => entry(version)));
    root.replaceChildren(list, aboutOf(versions.find((version) => version.version === picked)), diffOf(versions));
    list.scrollTop = scroll;
    if (focus) root.querySelector(`[data-keep="${CSS.escape(focus)}"]`)?.focus();
  };

  const entry = (version) =>
    el("li", { class: `pl-version ${version.version === picked ? "open" : ""}`, "data-version": version.version },
      el("button", { type: "button", class: "pl-version-pick", "data-keep": `v${version.version}`, "aria-pressed": String(version.version === picked), onclick: () => pick(version.version) },
        el("span", { class: "pl-tag" }, String(version.version)), el("span", { class: "pl-title" }, version.summary || "No summary"),
        el("span", { class: "pl-ago" }, `${version.author === "editor" ? "by hand · " : ""}${P.ago(version.created_at)}`)));

  // --- one version ---

  const aboutOf = (version) => {
    const newest = P.workflow.version === version.version;
    const act = newest
      ? version.version > 1 && button("Undo", { onclick: () => P.undo(version.version), title: `Back to the text of version ${version.version - 1}`, "data-keep": "back" }, "back")
      : button("Go back to this", { onclick: () => restore(version.version), "data-keep": "back" }, "back");
    const changes = shown?.changes || [];
    return el("section", { class: "pl-about", "aria-label": `Version ${version.version}` },
      el("div", { class: "pl-about-head" }, el("strong", {}, `Version ${version.version}`),
        el("span", { class: "pl-faint", title: new Date(version.created_at).toLocaleString() }, `by ${P.madeBy(version)}, ${said(version.created_at)}`), el("span", { class: "pl-grow" }), act),
      P.quote(version),
      changes.length > 0 && el("ul", { class: "pl-changes" }, ...changes.map((words) => el("li", {}, words))),
      shown && !shown.error && proofOf(newest));
  };

  const proofOf = (newest) =>
    P.proofOf({ proof: shown.proof, line: shown.proof_line, state: shown.proof_state, tests: newest ? tests : null, prove, remove: newest && removeTest });

  const prove = async () => {
    const answer = await P.call("prove", { conversation: P.conversation, version: picked });
    if (!answer.error && shown) shown = { ...shown, ...answer };
    draw();
    ask(); // tests may have been kept since
  };

  const removeTest = async (test) => {
    const sure = await P.ask({ title: "Remove this test?", text: `“${test.title}” will not be tried any more when the workflow changes.`, yes: "Remove", danger: true });
    if (!sure) return;
    const answer = await P.call("remove_test", { conversation: P.conversation, test: test.id });
    if (answer.error) ask();
    else await prove();
  };
  const said = (iso) => {
    const ago = P.ago(iso);
    return ago === "now" ? "just now" : /(min|h|d)$/.test(ago) ? `${ago} ago` : ago;
  };

  const restore = (version) => P.call("restore", { conversation: P.conversation, version });

  // --- what it changed ---

  const diffOf = (versions) => {
    if (!shown) return el("div", { class: "pl-diff loading" });
    if (shown.error) return el("p", { class: "pl-diff-none failed" }, [shown.error, shown.fix].filter(Boolean).join(" "));
    const other = shown.against;
    const choice = el("select", { "aria-label": "Compare with", "data-keep": "against", onchange: (event) => pick(picked, Number(event.target.value)) },
      ...versions.filter((version) => version.version !== picked).map((version) => el("option", { value: version.version, selected: version.version === other }, `version ${version.version}`)),
      el("option", { value: 0, selected: other === 0 }, "nothing"));
    const title = other ? `Version ${picked} compared with version ${other}` : `Version ${picked}`;
    return el("div", { class: "pl-diff" },
      el("div", { class: "pl-diff-head" }, el("label", {}, "Compared with ", choice), el("span", { class: "pl-grow" }), ...P.diffCounts(shown.rows),
        other > 0 && button("Side by side", { class: "pl-wide-only", onclick: () => P.diffDialog(title, shown.rows), "aria-haspopup": "dialog", "data-keep": "beside" }, "beside")),
      P.diffRows(shown.rows));
  };

  // --- one click back, on the card of the change too ---

  P.undo = async (version) => P.call("undo", { conversation: P.conversation, version });
  P.redo = (version) => P.call("restore", { conversation: P.conversation, version });

  // Cards are the server's, and old ones stay: which of them offers what is said by a rule of style.
  const undoable = () => {
    const sheet = P.$("#pl-undoable") || document.head.appendChild(el("style", { id: "pl-undoable" }));
    const [newest, before] = P.workflow?.versions || [];
    const name = encodeURIComponent(P.workflow?.name || "");
    const undone = newest?.author === "restore" && before;
    const shows = newest ? [`undo:${name}:${newest.version}`, ...(undone ? [`redo:${name}:${before.version}`] : [])] : [];
    sheet.textContent = shows.map((value) => `#pl-messages button.pl-undo[value=${JSON.stringify(value)}] { display: inline-block; }`).join("\n");
  };
})();
