// Why a line or a step is there: the words that asked for it, who wrote it, when. Pointing at it shows them, so do
// the cursor in the editor, the focus of the keyboard in the graph, and a tap. A click on the words goes to the message.
(() => {
  "use strict";
  const P = window.parlance;
  const { el } = P;
  const REST = 450; // ms the pointer stays before anything shows
  const LEAVE = 220; // ms to get from the line into what shows

  // --- what is known: asked for once per version, when it is first needed ---

  let blame = null; // {key, data}
  const key = () => (P.workflow && P.conversation ? `${P.conversation} ${P.workflow.name}@${P.workflow.version}` : null);
  const known = async () => {
    const wanted = key();
    if (!wanted) return null;
    if (blame?.key !== wanted) blame = { key: wanted, data: P.call("blame", { conversation: P.conversation }, { quiet: true }).then((answer) => answer.blame || null) };
    const data = await blame.data;
    if (!data && blame?.key === wanted) blame = null; // ask again
    return key() === wanted ? data : null;
  };

  // The saved line that stands at this place of the editor: what is before or behind all edits; null within them.
  const savedLine = (text, line) => {
    const saved = P.savedYaml();
    if (text === saved) return line;
    const [now, then] = [text.split("\n"), saved.split("\n")];
    let head = 0;
    while (head < now.length && head < then.length && now[head] === then[head]) head++;
    if (line <= head) return line;
    let tail = 0;
    while (tail < now.length - head && tail < then.length - head && now.at(-1 - tail) === then.at(-1 - tail)) tail++;
    return line > now.length - tail ? line + then.length - now.length : null;
  };

  const ofLine = async (text, line) => {
    const saved = savedLine(text, line);
    if (saved === null) return { unsaved: true };
    const data = await known();
    const version = data?.versions[data.lines[saved - 1]];
    return version ? { now: version } : null;
  };
  const ofNode = async (name) => {
    const data = await known();
    const node = data?.nodes[name];
    if (!node) return null;
    const [since, now] = [data.versions[node.since], data.versions[node.version]];
    return since === now ? { now } : { since, now };
  };

  // --- in words ---

  const ago = (iso) => {
    const words = P.ago(iso);
    return words === "now" ? "just now" : /(min|h|d)$/.test(words) ? `${words} ago` : words;
  };
  const who = (version) => (version.request ? "You asked" : version.author === "assistant" ? "The assistant" : P.madeBy(version).replace(/^./, (first) => first.toUpperCase()));
  const origin = (version, label) =>
    el("div", { class: "pl-why-origin" },
      label && el("span", { class: "pl-label" }, label),
      P.quote(version, 200) || el("p", { class: "pl-quote none" }, version.summary || "Nobody said why."),
      el("div", { class: "pl-why-when", title: new Date(version.at).toLocaleString() }, `${who(version)}, ${ago(version.at)} · `,
        el("button", { type: "button", class: "pl-link", onclick: () => (hide(), P.showVersion(version.version)) }, `version ${version.version}`)));

  const words = (why) =>
    why.unsaved ? [el("p", {}, "Edited here and not saved yet.")]
      : why.since ? [origin(why.since, "Here since"), origin(why.now, "Changed last")] : [origin(why.now)];

  // --- the popover ---

  let box = null;
  let shownFor = null;
  let timer;

  const hide = () => {
    clearTimeout(timer);
    box?.remove();
    box = shownFor = null;
  };
  const hideSoon = () => {
    clearTimeout(timer);
    timer = setTimeout(hide, LEAVE);
  };

  // Below what it is about, or above where there is no room; `rect` is in the window's coordinates.
  const show = (target, why, rect, ...more) => {
    hide();
    shownFor = target;
    box = el("div", { class: "pl-why", role: "dialog", "aria-label": "Why this is here", onpointerenter: () => clearTimeout(timer), onpointerleave: hideSoon }, ...words(why), ...more);
    P.$("#pl-app").append(box);
    const size = box.getBoundingClientRect();
    box.style.left = `${Math.max(8, Math.min(rect.x - Math.min(36, size.width / 2), innerWidth - size.width - 8))}px`;
    box.style.top = `${rect.bottom + 6 + size.height < innerHeight ? rect.bottom + 6 : Math.max(8, rect.top - size.height - 6)}px`;
  };

  const later = (target, ask, rect) => {
    if (target === shownFor) return clearTimeout(timer);
    clearTimeout(timer);
    timer = setTimeout(async () => {
      const started = timer;
      const why = await ask();
      if (timer !== started) return; // the pointer went on meanwhile
      if (why) show(target, why, rect());
      else hide();
    }, REST);
  };

  // --- where the pointer is ---

  const lineAt = (event) => {
    const editor = P.editorView();
    if (!editor?.scrollDOM.contains(event.target)) return null;
    const height = event.clientY - editor.documentTop;
    if (height < 0 || height > editor.contentHeight) return null;
    const block = editor.lineBlockAtHeight(height);
    return { editor, block, line: editor.state.doc.lineAt(block.from).number };
  };

  document.addEventListener("pointermove", (event) => {
    if (event.pointerType !== "mouse" || event.buttons) return;
    if (box?.contains(event.target)) return clearTimeout(timer);
    const node = event.target.closest?.(".pl-picture [data-node]");
    if (node) return later(node, () => ofNode(node.dataset.node), () => spot(node));
    const at = event.target.closest?.("#pl-code") && lineAt(event);
    if (at) {
      const { editor, block, line } = at;
      const rect = () => ({ x: event.clientX, top: editor.documentTop + block.top, bottom: editor.documentTop + block.bottom });
      return later(`line ${line}`, () => ofLine(editor.state.doc.toString(), line), rect);
    }
    if (shownFor) hideSoon();
    else clearTimeout(timer);
  });
  const spot = (node) => {
    const { x, width, top, bottom } = node.getBoundingClientRect();
    return { x: x + width / 2, top, bottom };
  };

  let left = null; // the step to which the keyboard came back from its popover
  document.addEventListener("focusin", (event) => {
    const node = event.target.closest?.(".pl-picture [data-node]");
    if (node && node === left) left = null; // it was just read
    else if (node?.matches(":focus-visible")) later(node, () => ofNode(node.dataset.node), () => spot(node));
    else if (box && !box.contains(event.target)) hide();
  });
  addEventListener("keydown", (event) => {
    if (!box) return;
    const inside = box.contains(event.target);
    const step = shownFor instanceof Element ? shownFor : null;
    if (event.key === "Escape") {
      event.stopPropagation();
      hide();
      if (inside && step) (left = step), step.focus();
    } else if (event.key === "ArrowDown" && step && event.target === step) {
      event.preventDefault();
      P.$("button", box)?.focus(); // from the step into what is said of it
    } else if (!inside) hide();
  }, true);
  addEventListener("pointerdown", (event) => box && !box.contains(event.target) && hide(), true);
  addEventListener("scroll", () => box && hide(), { capture: true, passive: true });

  // A finger has nothing to point with: a tap shows it, with the way to the line.
  P.whyTapped = async (node) => {
    const why = await ofNode(node.dataset.node);
    if (!why) return P.jump(Number(node.dataset.line));
    show(node, why, spot(node), P.button("Show in YAML", { onclick: () => (hide(), P.jump(Number(node.dataset.line))) }));
  };

  // --- below the editor: of the line that the cursor is in ---

  let bar = null;
  let line = null;
  P.whyBar = () => (bar ||= el("div", { class: "pl-why-bar" }));
  const follow = P.later(120, async () => {
    const editor = P.editorView();
    if (!bar || !editor) return;
    const here = editor.state.doc.lineAt(editor.state.selection.main.head).number;
    const text = editor.state.doc.toString();
    const state = `${key()} ${here} ${text.length} ${P.savedYaml().length}`;
    if (state === line) return;
    if (!editor.hasFocus) return (line = null), bar.replaceChildren(); // another text by now, and nobody's cursor in it
    line = state;
    const why = text.trim() && P.workflow ? await ofLine(text, here) : null;
    if (line !== state) return;
    bar.replaceChildren(...(why ? [el("span", { class: "pl-faint" }, `Line ${here}`), ...told(why)] : []));
  });
  const told = (why) => {
    if (why.unsaved) return [el("span", { class: "pl-muted" }, "edited here, not saved yet")];
    const { now } = why;
    const when = el("button", { type: "button", class: "pl-link", onclick: () => P.showVersion(now.version) }, `version ${now.version}, ${ago(now.at)}`);
    return [P.quote(now, 120) || el("span", { class: "pl-quote" }, now.summary), when];
  };
  document.addEventListener("selectionchange", follow);
})();
