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

  const choice = (id, title, words, control) => el("div", { class: "pl-choice" }, el("label", { for: id }, title), control, words && el("p", {}, words));
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
      el("section", { class: "pl-choices" },
        choice("pl-language", "Language of the answers", "Left alone, it answers in the language you write in.", select("pl-language", [[null, "The one I write in"], ...languages], now.language, (language) => prefer({ language })))),
      el("section", {},
        choice("pl-zone", "Time zone", now.timezone === here ? "“Every Monday at nine” means nine here." : `This browser is in ${here.replaceAll("_", " ")}.`, select("pl-zone", zones, now.timezone, (timezone) => prefer({ timezone })))),
      ...cap(now),
    ];
  };

  const cap = (now) => {
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
        el("div", { class: "pl-choice" }, el("label", { for: dollars.id }, "Dollars"), dollars),
        el("div", { class: "pl-choice" }, el("label", { for: tokens.id }, "Tokens"), tokens),
        told),
    ];
  };

  // --- the page ---

  P.pageSettings = () => [
    el("section", {}, el("div", { class: "pl-choice" }, el("strong", {}, "Colours"),
      el("div", { class: "pl-tabs-row", role: "radiogroup", "aria-label": "Colours" }, ...["system", "light", "dark"].map((name) =>
        el("button", { type: "button", role: "radio", "aria-checked": String(P.theme() === name), onclick: () => (P.theme(name), P.parts.settings.again()) }, name[0].toUpperCase() + name.slice(1)))))),
    el("section", {}, notices()),
    el("section", {}, el("div", { class: "pl-choice" }, el("strong", {}, "Keyboard"), button("Show the shortcuts", { onclick: () => (P.parts.settings.close(), P.shortcuts()) }))),
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

})();
