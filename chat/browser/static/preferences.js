// The settings of the assistant, of the page, and what is kept of a person.
(() => {
  "use strict";
  const P = window.parlance;
  const { el, button } = P;
  const LANGUAGES = ["en", "de", "fr", "es", "it", "pt", "nl", "pl", "cs", "sv", "tr", "uk", "ru", "ar", "hi", "zh", "ja", "ko"];

  P.preferences = null;
  const here = Intl.DateTimeFormat().resolvedOptions().timeZone;

  // The zone of this browser counts where the person has not chosen one.
  P.arrive = async () => {
    const answer = await P.call("arrive", { timezone: here }, { quiet: true });
    if (!answer.error) P.preferences = answer.preferences;
  };
  const prefer = async (changes, node) => {
    const answer = await P.call("prefer", { changes }, { quiet: !!node });
    if (!answer.error) P.preferences = answer.preferences;
    if (node) node.replaceChildren(...(answer.error ? [P.trouble(answer)] : []));
    return !answer.error;
  };

  const choice = (id, title, words, control) => el("div", { class: "pl-setting" }, el("label", { for: id }, title), control, words && el("p", {}, words));
  const select = (id, options, chosen, change) => {
    const node = el("select", { id, onchange: () => change(node.value || null) }, ...options.map(([value, text]) => el("option", { value: value ?? "", selected: value === chosen }, text)));
    return node;
  };

  // --- the assistant ---

  P.assistantSettings = async () => {
    await P.arrive();
    const now = P.preferences || {};
    const names = new Intl.DisplayNames([], { type: "language" });
    const languages = [...new Set([...LANGUAGES, ...(now.language ? [now.language] : [])])].map((code) => [code, names.of(code)]).sort((a, b) => a[1].localeCompare(b[1]));
    const zones = [...new Set([...(now.timezone ? [now.timezone] : []), here, ...Intl.supportedValuesOf("timeZone")])].sort().map((zone) => [zone, zone.replaceAll("_", " ")]);
    return [
      el("section", { class: "pl-settings-group" },
        choice("pl-language", "Language of the answers", "Left alone, it answers in the language you write in.", select("pl-language", [[null, "The one I write in"], ...languages], now.language, (language) => prefer({ language })))),
      el("section", {},
        choice("pl-zone", "Time zone", now.timezone === here ? "“Every Monday at nine” means nine here." : `This browser is in ${here.replaceAll("_", " ")}.`, select("pl-zone", zones, now.timezone, (timezone) => prefer({ timezone })))),
      ...(await cap(now)),
    ];
  };

  const used = async () => {
    const spent = await P.call("spent_today", {}, { quiet: true });
    if (spent.error) return P.trouble(spent);
    const share = Math.max(spent.of_usd ?? 0, spent.of_tokens ?? 0);
    const capped = spent.of_usd !== null || spent.of_tokens !== null;
    const words = [spent.cost, spent.tokens, spent.calls, spent.note].filter(Boolean).join(" · ");
    const meter = el("div", { class: `pl-meter ${spent.reached ? "over" : ""}`, role: "meter", "aria-label": "Used of today's cap", "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": Math.round(share * 100) }, el("i", { style: `width: ${share * 100}%` }));
    return el("div", { class: "pl-now" }, el("div", {}, el("strong", {}, "Today "), words), capped && meter,
      spent.reached && el("p", { class: "failed" }, "The cap is used up. Raise it, or wait until tomorrow."));
  };

  const cap = async (now) => {
    const told = el("div", { role: "status", "aria-live": "polite" });
    const amount = (name, step) => el("input", { type: "number", min: 0, step, inputmode: "decimal", placeholder: "no cap", value: now[name] ?? "",
      onchange: (event) => prefer({ [name]: event.target.value === "" ? null : Number(event.target.value) }, told).then((done) => done && P.parts.settings.again()) });
    const dollars = amount("daily_cap_usd", "0.01");
    const tokens = amount("daily_cap_tokens", "1");
    dollars.id = "pl-cap-usd";
    tokens.id = "pl-cap-tokens";
    return [
      el("section", {}, el("h3", {}, "What the assistant may use in a day"),
        el("p", { class: "pl-faint" }, "When it is used up, it says so and waits for the next day or a larger cap. Runs have budgets of their own."),
        await used(),
        el("div", { class: "pl-setting" }, el("label", { for: dollars.id }, "Dollars"), dollars),
        el("div", { class: "pl-setting" }, el("label", { for: tokens.id }, "Tokens"), tokens),
        told),
    ];
  };

  // --- the page ---

  P.pageSettings = () => [
    el("section", {}, el("div", { class: "pl-setting" }, el("strong", {}, "Colours"),
      el("div", { class: "pl-tabs-row", role: "radiogroup", "aria-label": "Colours" }, ...["system", "light", "dark"].map((name) =>
        el("button", { type: "button", role: "radio", "aria-checked": String(P.theme() === name), onclick: () => (P.theme(name), P.parts.settings.again()) }, name[0].toUpperCase() + name.slice(1)))))),
    el("section", {}, notices()),
    el("section", {}, el("div", { class: "pl-setting" }, el("strong", {}, "Keyboard"), button("Show the shortcuts", { onclick: () => (P.parts.settings.close(), P.shortcuts()) }))),
  ];

  const notices = () => {
    const able = "Notification" in window;
    const words = !able ? "This browser has none." : Notification.permission === "denied" ? "The browser does not allow them: allow notifications for this address in its settings." : "When a long run ends or asks something while you look elsewhere. Marks in the list are always there.";
    const box = el("input", { type: "checkbox", id: "pl-notices", checked: P.wantsNotices(), disabled: !able || Notification.permission === "denied", onchange: async () => {
      if (box.checked && (await Notification.requestPermission()) !== "granted") return P.parts.settings.again();
      await prefer({ notices: box.checked });
    } });
    return choice("pl-notices", "Notices of the browser", words, box);
  };

  // --- what is kept ---

  const WORDS = "erase my data";
  P.dataSettings = () => {
    const told = el("div", { role: "status", "aria-live": "polite" });
    const field = el("input", { id: "pl-erase", autocomplete: "off", spellcheck: "false", placeholder: WORDS, oninput: () => (erase.disabled = field.value.trim().toLowerCase() !== WORDS) });
    const erase = button("Erase everything", { class: "danger", disabled: true, onclick: async () => {
      erase.disabled = true;
      told.replaceChildren(el("p", { class: "pl-faint" }, "Erasing …"));
      P.deleting = P.conversation;
      const answer = await P.call("erase_data", { confirm: field.value }, { quiet: true });
      if (answer.error) return told.replaceChildren(P.trouble(answer));
      P.kept.clear();
      P.parts.settings.close();
      P.open(null);
      const gone = Object.entries(answer.gone).filter(([, number]) => number).map(([name, number]) => `${number} ${number === 1 ? name.replace(/s$/, "") : name}`);
      P.toast("Everything was erased.", gone.join(", "), "ok");
    } });
    return [
      el("section", {}, el("h3", {}, "Take it along"),
        el("p", { class: "pl-faint" }, "Conversations, workflows with all versions and tests, runs, schedules and preferences, as one zip file of JSON and YAML. Keys are not in it."),
        el("div", { class: "pl-field-row" }, el("a", { class: "pl-button", href: "/api/data/export", download: "parlance-data.zip" }, P.icon("down"), el("span", {}, "Download my data")))),
      el("section", { class: "pl-danger" }, el("h3", {}, "Erase it"),
        el("p", { class: "pl-faint" }, "All of that and the stored keys are deleted for good, and runs that are under way are stopped. Nothing can be brought back."),
        el("label", { for: field.id, class: "pl-erase-label" }, `Type “${WORDS}” to confirm`),
        el("div", { class: "pl-field-row" }, field, erase), told),
    ];
  };

})();
