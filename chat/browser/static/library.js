// All workflows and all runs of a person, in one dialog: open, rename, duplicate, archive, delete.
(() => {
  "use strict";
  const P = window.parlance;
  const { el, icon } = P;
  let dialog = null;
  let tabs, field, list;
  let shown = "workflows";
  let items = { workflows: [], runs: [] };

  P.library = (what = "workflows") => {
    dialog ||= build();
    return dialog.open(what);
  };
  P.openWorkflow = async (name) => {
    const answer = await P.call("open_workflow", { name });
    if (answer.error) return;
    dialog?.close();
    P.open(answer.conversation);
    P.tab = "graph";
    P.push("tab");
  };

  const build = () => {
    const found = P.dialog({ id: "pl-library", title: "Your work", size: "middle", opened: start });
    const tab = (name, text) => el("button", { type: "button", role: "tab", id: `pl-library-${name}`, "aria-controls": "pl-library-list", "data-name": name, onclick: () => turn(name) }, text);
    tabs = el("div", { class: "pl-tabs-row", role: "tablist", "aria-label": "What is listed", onkeydown: (event) => {
      if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
      const all = P.$$("[role=tab]", tabs);
      const next = all[(all.findIndex((t) => t.dataset.name === shown) + (event.key === "ArrowRight" ? 1 : all.length - 1)) % all.length];
      next.focus();
      turn(next.dataset.name);
    } }, tab("workflows", "Workflows"), tab("archived", "Archived"), tab("runs", "Runs"));
    const search = P.searchField({ placeholder: "Search", "aria-label": "Search the list", oninput: () => draw() });
    field = search.field;
    list = el("div", { id: "pl-library-list", role: "tabpanel", class: "pl-library-list" });
    found.body.append(el("div", { class: "pl-library-head" }, tabs, search.node), list);
    return found;
  };

  const start = (what) => {
    field.value = "";
    field.focus();
    return turn(what);
  };
  const turn = async (what) => {
    shown = what;
    P.$$("[role=tab]", tabs).forEach((t) => {
      t.setAttribute("aria-selected", String(t.dataset.name === what));
      t.tabIndex = t.dataset.name === what ? 0 : -1;
    });
    list.setAttribute("aria-labelledby", `pl-library-${what}`);
    draw();
    await load();
  };
  const load = async () => {
    const kind = shown === "runs" ? "runs" : "workflows";
    const answer = await P.call(kind === "runs" ? "all_runs" : "workflows", {}, { quiet: true });
    if (answer.error) return list.replaceChildren(P.trouble(answer));
    items = { ...items, [kind]: answer[kind] };
    draw();
  };

  const draw = () => {
    const words = field.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    const fits = (...texts) => words.every((word) => texts.join(" ").toLowerCase().includes(word));
    const focus = list.contains(document.activeElement) ? document.activeElement.closest("li")?.dataset.id : null;
    const rows = shown === "runs"
      ? items.runs.filter((r) => fits(r.workflow, r.word, r.run_id)).map(runRow)
      : items.workflows.filter((w) => !!w.archived === (shown === "archived") && fits(w.name, w.description)).map(workflowRow);
    list.replaceChildren(rows.length ? el("ul", { class: "pl-entries" }, ...rows) : el("p", { class: "pl-none" }, words.length ? "Nothing was found." : nothing[shown]));
    if (focus) P.$(`li[data-id="${CSS.escape(focus)}"] button`, list)?.focus();
  };
  const nothing = {
    workflows: "Workflows you make are kept here.",
    archived: "Nothing is archived. What you archive stays, out of your way.",
    runs: "Runs are kept here, with what they gave and what they cost.",
  };

  const act = (sign, text, about, work) => el("button", { type: "button", title: text, "aria-label": `${text} “${about}”`, onclick: work }, icon(sign));

  const workflowRow = (w) =>
    el("li", { "data-id": w.name },
      el("button", { type: "button", class: "pl-entry", onclick: () => P.openWorkflow(w.name) },
        el("strong", {}, w.name), el("span", { class: "pl-ago" }, P.ago(w.updated_at)), el("span", { class: "pl-entry-more" }, w.description || "No description")),
      el("span", { class: "pl-entry-acts" },
        act("pencil", "Rename", w.name, () => rename(w)),
        act("copy", "Duplicate", w.name, () => change("duplicate_workflow", { name: w.name })),
        w.archived ? act("back", "Take back", w.name, () => change("archive_workflow", { name: w.name, archived: false })) : act("box", "Archive", w.name, () => change("archive_workflow", { name: w.name, archived: true })),
        act("trash", "Delete", w.name, () => remove(w))));

  const runRow = (r) =>
    el("li", { "data-id": r.run_id },
      el("button", { type: "button", class: "pl-entry", disabled: !r.conversation, onclick: () => openRun(r) },
        el("strong", {}, el("span", { class: `pl-dot ${r.status}` }), r.workflow), el("span", { class: "pl-ago" }, P.ago(r.created_at)),
        el("span", { class: "pl-entry-more" }, [r.word, r.seconds, r.cost].filter(Boolean).join(" · "))),
      el("span", { class: "pl-entry-acts" },
        act("copy", "Copy the id of", r.workflow, (event) => P.copy(event.currentTarget, r.run_id)),
        act("trash", "Delete the run of", r.workflow, () => removeRun(r))));

  const openRun = (r) => {
    dialog.close();
    P.open(r.conversation);
    P.act(`run:${r.run_id}`);
  };

  const change = async (name, given) => {
    const answer = await P.call(name, given);
    if (!answer.error) await load();
    return answer;
  };

  const rename = (w) => {
    const row = P.$(`li[data-id="${CSS.escape(w.name)}"]`, list);
    let over = false;
    const end = async (keep) => {
      if (over) return;
      over = true;
      const name = input.value.trim();
      if (keep && name && name !== w.name) await renamed(w, name);
      draw();
    };
    const input = el("input", { class: "pl-rename", value: w.name, "aria-label": "New name", maxlength: 100, onblur: () => end(true), onkeydown: (event) => {
      if (event.key === "Enter") (event.preventDefault(), end(true));
      if (event.key === "Escape") (event.preventDefault(), event.stopPropagation(), end(false));
    } });
    row.replaceChildren(input);
    input.focus();
    input.select();
  };

  const quoted = (names) => names.map((name) => `“${name}”`).join(", ");
  const renamed = async (w, name) => {
    const usage = await P.call("workflow_usage", { name: w.name });
    if (usage.error) return;
    const asks = usage.parents.length > 0;
    const sure = !asks || (await P.ask({ title: "Rename it there too?", text: `${quoted(usage.parents)} starts “${w.name}” by its name. A new version of it will say “${name}”.`, yes: "Rename in both" }));
    if (sure) await change("rename_workflow", { name: w.name, new: name, references: asks });
  };

  const remove = async (w) => {
    const usage = await P.call("workflow_usage", { name: w.name });
    if (usage.error) return;
    const gone = [count(usage.versions, "version"), usage.tests > 0 && count(usage.tests, "test")].filter(Boolean).join(" and ");
    const users = [usage.schedules.length > 0 && count(usage.schedules.length, "schedule"), usage.parents.length > 0 && quoted(usage.parents)].filter(Boolean);
    const warning = users.length ? ` It is started by ${users.join(" and ")}: schedules go with it, workflows that start it will fail.` : "";
    const sure = await P.ask({ title: "Delete this workflow?", text: `“${w.name}” with ${gone} will be gone for good; its runs stay.${warning} To keep it out of sight, archive it.`, yes: "Delete", danger: true });
    if (sure) await change("delete_workflow", { name: w.name, force: users.length > 0 });
  };
  const count = (number, word) => `${number} ${word}${number === 1 ? "" : "s"}`;
  const removeRun = async (r) => {
    const sure = await P.ask({ title: "Delete this run?", text: `What it did and gave, begun ${new Date(r.created_at).toLocaleString()}, will be gone for good.`, yes: "Delete", danger: true });
    if (sure) await change("delete_run", { run: r.run_id });
  };
})();
