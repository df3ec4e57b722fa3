// Files that go with a message: picked, dropped or pasted; sent up at once, shown as chips, taken back with a click.
(() => {
  "use strict";
  const P = window.parlance;
  const { el, icon } = P;
  const LARGEST = 20 * 1024 * 1024; // bytes of a file, as the server has it
  const MOST = 10; // files of a message
  let chips = [];
  let row = null;
  let waits = null;

  const size = (bytes) => (bytes < 1000 ? `${bytes} bytes` : bytes < 1e6 ? `${Math.round(bytes / 1000)} kB` : `${(bytes / 1e6).toFixed(1)} MB`);
  const picker = el("input", { type: "file", multiple: true, class: "pl-unseen", tabindex: -1, "aria-label": "Attach files", onchange: () => {
    const files = [...picker.files];
    picker.value = "";
    P.attached.add(files);
  } });

  P.attached = {
    some: () => chips.some((chip) => !chip.error),
    busy: () => chips.some((chip) => !chip.id && !chip.error),
    wait: (go) => (waits = go),
    take() {
      const taken = chips.filter((chip) => chip.id);
      chips = chips.filter((chip) => !chip.id);
      draw();
      return taken;
    },
    back(files) {
      chips.unshift(...files);
      draw();
    },
    add(files) {
      for (const file of files) {
        const chip = { name: file.name || "pasted", size: file.size };
        chips.push(chip);
        if (chips.filter((c) => !c.error).length > MOST) chip.error = `More than ${MOST} files can't go with a message.`;
        else if (file.size > LARGEST) chip.error = `It has ${size(file.size)}; 20 MB is the most.`;
        else if (!file.size) chip.error = "It is empty.";
        else send(chip, file);
      }
      draw();
      P.pane("chat");
      P.$("#pl-box textarea")?.focus();
    },
    // Gradio draws its message box anew now and then.
    settle() {
      const box = P.$("#pl-box .input-container");
      if (box && !P.$(".pl-clip", box)) box.prepend(el("button", { type: "button", class: "pl-clip", "aria-label": "Attach files", title: "Attach files", onclick: () => {
        if (!picker.isConnected) document.body.append(picker);
        picker.click();
      } }, icon("plus")));
      if (row?.isConnected) return;
      const place = P.$("#pl-chat > :has(#pl-box)") || P.$("#pl-box");
      if (!place) return;
      row = el("div", { class: "pl-attached", role: "list", "aria-label": "Attached files" });
      place.before(row);
      draw();
    },
  };

  // Sends a file up: {file} as the server knows it, or {error} in words.
  P.sendFile = async (file, name = file.name) => {
    if (file.size > LARGEST) return { error: `It has ${size(file.size)}; 20 MB is the most.` };
    const headers = { "Parlance-File-Name": encodeURIComponent(name), "Content-Type": "application/octet-stream" };
    const answer = await fetch("/api/files", { method: "POST", headers, body: file, redirect: "manual" }).catch(() => null);
    if (answer && (answer.type === "opaqueredirect" || answer.status === 401)) return P.toLogin(), { error: "You are signed out." };
    const told = await answer?.json().catch(() => null);
    if (answer?.ok) return { file: told };
    return { error: [told?.error?.message || "The server did not take it.", told?.error?.fix].filter(Boolean).join(" ") };
  };
  P.fileSize = size;

  const send = async (chip, file) => {
    const sent = await P.sendFile(file, chip.name);
    if (sent.file) chip.id = sent.file.id;
    else chip.error = sent.error;
    if (!chips.includes(chip) && chip.id) return drop(chip);
    draw();
    if (waits && !P.attached.busy()) {
      const go = waits;
      waits = null;
      if (!chip.error) go();
    }
  };
  const drop = (chip) => chip.id && fetch(`/api/files/${encodeURIComponent(chip.id)}`, { method: "DELETE" }).catch(() => null);

  const draw = () => {
    if (!row) return;
    row.replaceChildren(...chips.map((chip) =>
      el("span", { class: `pl-attachment ${chip.error ? "failed" : ""}`, role: "listitem" },
        !chip.error && (chip.id ? icon("file") : el("span", { class: "pl-dot running" })),
        el("span", { class: "pl-title", title: chip.name, role: chip.error ? "alert" : undefined }, chip.error ? `${chip.name}: ${chip.error}` : chip.name),
        !chip.error && el("span", { class: "pl-faint" }, size(chip.size)),
        el("button", { type: "button", class: "pl-icon-button", "aria-label": `Remove ${chip.name}`, title: "Remove", onclick: () => {
          chips = chips.filter((other) => other !== chip);
          drop(chip);
          draw();
        } }, icon("close")))));
    document.body.toggleAttribute("data-pl-attached", P.attached.some());
  };

  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files || [])];
    if (!files.length || !event.target.closest?.("#pl-box")) return;
    event.preventDefault();
    P.attached.add(files);
  }, true);
})();
