// The Versions tab: each change of the YAML, what it changed, and the way back.
(() => {
  "use strict";
  const P = window.parlance;
  const { el, button } = P;
  let root = null;
  let picked = null;
  let shown = null;

  P.parts.versions = {
    mount(node) {
      root = node;
      this.show();
    },
    show() {
      if (!root) return;
      const versions = P.workflow?.versions || [];
      if (!versions.length) {
        picked = null;
        return root.replaceChildren(el("div", { class: "pl-empty" }, el("h2", {}, "No versions yet"), el("p", {}, "Every change of the workflow is kept here. Nothing is ever overwritten, and you can go back.")));
      }
      if (!versions.some((v) => v.version === picked) || shown?.name !== `${P.workflow.name}@${P.workflow.version}`) {
        picked = versions[0].version;
        shown = null;
        P.tell("diff", { version: picked });
      }
      draw(versions);
    },
    diff(data) {
      if (!root || data.version !== picked) return;
      shown = { ...data, name: `${P.workflow?.name}@${P.workflow?.version}` };
      draw(P.workflow?.versions || []);
    },
  };

  const draw = (versions) => {
    const list = el("ol", { class: "pl-versions", "aria-label": "Versions" }, ...versions.map((v) => entry(v, versions[0].version)));
    const focus = document.activeElement?.closest?.(".pl-version")?.dataset.version;
    root.replaceChildren(list, diffOf());
    if (focus) root.querySelector(`[data-version="${focus}"] button`)?.focus();
  };

  const entry = (version, newest) =>
    el("li", { class: `pl-version ${version.version === picked ? "open" : ""}`, "data-version": version.version },
      el("button", { type: "button", class: "pl-version-pick", "aria-pressed": String(version.version === picked), onclick: () => pick(version.version) },
        el("span", { class: "pl-tag" }, String(version.version)), el("span", { class: "pl-title" }, version.summary || "No summary"),
        el("span", { class: "pl-ago" }, `${version.by === "editor" ? "by hand · " : ""}${P.ago(version.created_at)}`)),
      version.version === picked && version.version !== newest && button("Go back to this", { onclick: () => restore(version.version) }, "back"));

  const pick = (version) => {
    picked = version;
    shown = null;
    P.tell("diff", { version });
    draw(P.workflow.versions);
  };

  const restore = async (version) => {
    const answer = await P.call("restore", { conversation: P.conversation, version });
    if (!answer.error) picked = null;
  };

  const diffOf = () => {
    if (!shown) return el("div", { class: "pl-diff loading" });
    const signs = { add: "+", del: "−", same: " ", skip: "⋯" };
    const count = (kind) => shown.rows.filter((row) => row.kind === kind).length;
    return el("div", { class: "pl-diff" },
      el("div", { class: "pl-diff-head" }, el("span", {}, shown.version > 1 ? `Version ${shown.version} compared with ${shown.version - 1}` : "The first version"),
        el("span", { class: "add" }, `+${count("add")}`), el("span", { class: "del" }, `−${count("del")}`)),
      el("div", { class: "pl-diff-rows", role: "table", tabindex: 0, "aria-label": "Changes" },
        ...shown.rows.map((row) =>
          el("div", { class: row.kind, role: "row" }, el("span", { class: "no", role: "cell" }, String(row.new ?? row.old ?? "")),
            el("span", { class: "sign", role: "cell" }, signs[row.kind]), el("code", { role: "cell" }, row.text)))));
  };
})();
