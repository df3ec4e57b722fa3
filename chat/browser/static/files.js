// A file dropped on the page or picked: a workflow is checked, shown, and kept where the person says.
(() => {
  "use strict";
  const P = window.parlance;
  const { el, button } = P;
  const LARGEST = 2_000_000; // characters of a share file
  let dialog = null;

  // --- getting hold of it ---

  const picker = el("input", { type: "file", accept: ".yaml,.yml", class: "pl-unseen", "aria-label": "Open a workflow file", tabindex: -1, onchange: () => {
    const file = picker.files[0];
    picker.value = "";
    if (file) P.takeFile(file);
  } });
  P.pickFile = () => {
    if (!picker.isConnected) document.body.append(picker);
    picker.click();
  };

  const carriesFiles = (event) => [...(event.dataTransfer?.types || [])].includes("Files");
  let depth = 0;
  const veil = el("div", { class: "pl-veil", "aria-hidden": "true" }, el("div", {}, P.icon("file"), el("strong", {}, "Drop it here"), el("span", {}, "A workflow is checked and opened; other files go with your message.")));
  const lift = () => ((depth = 0), veil.remove());
  addEventListener("dragenter", (event) => carriesFiles(event) && depth++ === 0 && document.body.append(veil));
  addEventListener("dragleave", (event) => carriesFiles(event) && --depth <= 0 && lift());
  addEventListener("dragover", (event) => carriesFiles(event) && event.preventDefault());
  addEventListener("drop", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    event.stopPropagation();
    lift();
    const files = [...event.dataTransfer.files];
    if (files.length) P.takeFiles(files);
  }, true);
  // One YAML file may be a workflow; everything else belongs to the message that is being written.
  P.takeFiles = (files) => {
    if (files.length === 1 && isYaml(files[0])) return P.takeFile(files[0], () => P.attached.add(files));
    P.attached.add(files);
  };

  const isYaml = (file) => /\.ya?ml$/i.test(file.name) || /yaml/.test(file.type);

  P.takeFile = async (file, otherwise) => {
    if (!isYaml(file)) return P.toast(`“${file.name}” is not a workflow.`, "Pick a YAML file: a workflow, or a share file of Parlance.");
    if (file.size > LARGEST) return P.toast(`“${file.name}” is too large for a workflow.`, `It has ${(file.size / 1e6).toFixed(1)} MB; 2 MB is the most.`);
    let text;
    try {
      text = new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer());
    } catch {
      return P.toast(`“${file.name}” is not a text file.`, "Save it as UTF-8, then drop it again.");
    }
    const found = await P.call("look_at_file", { text });
    if (found.error) return;
    if (!found.workflow && otherwise) return otherwise();
    if (!found.workflow) return P.toast(`“${file.name}” is not a workflow.`, "A workflow has the keys schema_version, flow and nodes.");
    show(file.name, text, found);
  };

  // --- what to do with it ---

  const show = (file, text, found) => {
    dialog ||= P.dialog({ id: "pl-file", title: "A workflow from a file" });
    const here = P.conversation && P.workflow;
    const take = (conversation) => async (event) => {
      const node = event.currentTarget;
      node.disabled = true;
      const answer = await P.call("take_file", { text, file, conversation });
      node.disabled = false;
      if (answer.error) return;
      dialog.close();
      if (P.conversation !== answer.conversation) P.open(answer.conversation);
      P.show("graph");
    };
    const mend = () => {
      dialog.close();
      P.open(null);
      P.takeDraft({ yaml: found.yaml });
    };
    const problems = found.problems.slice(0, 12).map((p) => el("li", { class: p.severity }, el("span", { class: "pl-line" }, `line ${p.line}`), el("span", {}, p.message)));
    dialog.body.replaceChildren(
      el("section", {},
        el("h3", {}, found.name || file),
        el("p", { class: "pl-faint" }, found.description || file),
        found.tests > 0 && el("p", { class: "pl-faint" }, `With ${found.tests} test${found.tests === 1 ? "" : "s"}.`),
        !found.whole && el("p", { class: "pl-run-warning" }, "Its text was changed after it was shared."),
        el("div", { class: "pl-verdict" }, el("span", { class: `pl-dot ${found.ok ? (problems.length ? "waiting" : "ok") : "failed"}` }), el("span", {}, found.problems.length ? `${found.verdict} in ${file}` : "No problems")),
        problems.length > 0 && el("ul", { class: "pl-problem-list" }, ...problems),
        found.problems.length > problems.length && el("p", { class: "pl-faint" }, `and ${found.problems.length - problems.length} more`)),
      found.ok
        ? el("div", { class: "pl-dialog-acts" },
            here && button(`Next version of ${P.workflow.name}`, { onclick: take(P.conversation) }),
            button("In a new conversation", { class: "main", onclick: take(null) }))
        : el("div", { class: "pl-dialog-acts" },
            button("Leave it", { onclick: dialog.close }),
            button("Mend it in the editor", { class: "main", onclick: mend })));
    dialog.open();
    P.$(".pl-button.main", dialog.body)?.focus();
  };
})();
