// Taking a workflow along: as a file in several shapes, or copied.
(() => {
  "use strict";
  const P = window.parlance;
  const { el, icon } = P;

  const shapes = [
    { format: "yaml", title: "YAML", more: "the workflow itself", end: ".yaml" },
    { format: "share", title: "Share file", more: "with its tests and proof", end: ".parlance.yaml" },
    { format: "png", title: "Picture (PNG)", more: "the graph as an image", end: ".png" },
    { format: "svg", title: "Picture (SVG)", more: "sharp at any size", end: ".svg" },
    { format: "mermaid", title: "Mermaid", more: "the graph as text", end: ".mmd" },
  ];

  const fetched = async (name, format) => {
    const answer = await fetch(`/api/workflows/${encodeURIComponent(name)}/export?format=${format}`, { redirect: "manual" }).catch(() => null);
    if (!answer) return P.toast("The server did not answer.", "Is it still running? Then try again.");
    if (answer.type === "opaqueredirect" || answer.status === 401) return P.toLogin();
    if (answer.ok) return answer;
    const told = (await answer.json().catch(() => null))?.error;
    P.toast(told?.message || `The ${format} could not be made.`, told?.fix || "The log tells more.");
  };

  P.download = (blob, name) => {
    const link = el("a", { href: URL.createObjectURL(blob), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  };

  P.exportAs = async (format, name = P.workflow?.name) => {
    const shape = shapes.find((one) => one.format === format);
    const answer = name && (await fetched(name, format));
    if (answer) P.download(await answer.blob(), `${name}${shape.end}`);
  };
  const copied = async (format, node) => {
    const answer = await fetched(P.workflow.name, format);
    if (answer) P.copy(node, await answer.text());
  };

  // --- the menu ---

  P.exportButton = () => {
    const close = () => menu.hidePopover();
    const item = (title, more, work) => el("button", { type: "button", role: "menuitem", onclick: () => (close(), work()) }, el("span", {}, title), el("span", { class: "pl-faint" }, more));
    const menu = el("div", { class: "pl-menu", popover: "auto", role: "menu", "aria-label": "Export the workflow", onkeydown: (event) => {
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      const all = P.$$("button", menu);
      all[(all.indexOf(document.activeElement) + step + all.length) % all.length].focus();
    } },
      ...shapes.map((shape) => item(shape.title, shape.more, () => P.exportAs(shape.format))),
      el("hr"),
      item("Copy the YAML", "", () => P.copy(node, P.workflow.yaml)),
      item("Copy as Mermaid", "", () => copied("mermaid", node)));
    const place = () => {
      const at = node.getBoundingClientRect();
      menu.style.top = `${at.bottom + 6}px`;
      menu.style.left = `${Math.max(8, Math.min(at.right - menu.offsetWidth, innerWidth - menu.offsetWidth - 8))}px`;
    };
    menu.addEventListener("toggle", (event) => {
      const open = event.newState === "open";
      node.setAttribute("aria-expanded", String(open));
      if (open) (place(), P.$("button", menu).focus());
    });
    const node = el("button", { type: "button", class: "pl-icon-button pl-export", title: "Export", "aria-label": "Export the workflow", "aria-haspopup": "menu", "aria-expanded": "false", onclick: () => menu.togglePopover() }, icon("share"));
    return [node, menu];
  };

  P.addCommands(
    ...shapes.map((shape) => ({ id: `export-${shape.format}`, group: "Export", title: `Export as ${shape.title}`, icon: "share", when: () => !!P.workflow, run: () => P.exportAs(shape.format) })),
    { id: "copy-yaml", group: "Export", title: "Copy the YAML", icon: "copy", when: () => !!P.workflow, run: () => P.copy(document.body, P.workflow.yaml) },
  );
})();
