// What was verified of a version: one line, and all of it below. What could not be verified is said too.
(() => {
  "use strict";
  const P = window.parlance;
  const { el, button } = P;
  let opened = false;

  const plural = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;

  // `tests` are those of the workflow now; null where an older version is shown, which has its record alone.
  P.proofOf = ({ proof, line, state, tests, prove, remove }) => {
    const again = (words) => button(words, { onclick: (event) => (event.currentTarget.disabled = true, prove()), "data-keep": "prove" });
    if (!proof) {
      return el("div", { class: "pl-proof none" }, el("span", { class: "pl-dot" }), el("span", { class: "pl-grow" }, "Nothing of this version was verified yet."), again("Verify it"));
    }
    return el("details", { class: "pl-proof", open: opened, ontoggle: (event) => (opened = event.target.open) },
      el("summary", { "data-keep": "proof" }, el("span", { class: `pl-dot ${state}` }), el("span", {}, line)),
      el("div", { class: "pl-proof-body" }, ...checkedOf(proof.checked), ...dryOf(proof.dry_run), ...testsOf(proof, tests, remove),
        el("div", { class: "pl-proof-foot" }, el("span", { class: "pl-faint" }, `Verified ${new Date(proof.at).toLocaleString()}. Nothing was called or sent.`),
          again(proof.tests.length || tests?.length ? "Run all again" : "Verify again"))));
  };

  const part = (title, ...children) => [el("h3", {}, title), ...children.filter(Boolean)];
  const list = (items) => items.length > 0 && el("ul", { class: "pl-proof-list" }, ...items);

  const checkedOf = (checked) =>
    part("Checker",
      el("p", {}, checked.errors || checked.warnings ? [checked.errors && plural(checked.errors, "error"), checked.warnings && plural(checked.warnings, "warning")].filter(Boolean).join(", ") : "No problems"),
      list((checked.problems || []).map((p) => el("li", {}, el("button", { type: "button", class: "pl-link", onclick: () => P.jump(p.line, p.column) }, `line ${p.line}`), ` ${p.message}`))));

  const dryOf = (dry) => {
    if (!dry) return part("Dry run", el("p", {}, "It was not tried, as it has errors."));
    const ways = dry.branches ? `${dry.reached} of ${plural(dry.branches, "way")} reached` : "One way, without branches";
    const late = dry.status === "partial" ? ", then the time was over" : "";
    return part("Dry run",
      el("p", {}, `${ways}${late}.`),
      list((dry.problems || []).map((words) => el("li", { class: "failed" }, words))),
      list(dry.not_reached.map((way) => el("li", {}, el("strong", {}, `${way.node} → ${way.to}`), way.when && el("code", {}, way.when), ` was not reached: ${lower(way.why)}`))),
      dry.unverified.length > 0 && el("p", { class: "pl-label" }, "Not verified"),
      list(dry.unverified.map((each) => el("li", {}, el("strong", {}, each.node), ` ${each.why}`))),
      dry.simulated.length > 0 && el("details", { class: "pl-simulated" }, el("summary", {}, `${plural(dry.simulated.length, "step")} played with made-up answers`),
        list(dry.simulated.map((each) => el("li", {}, el("strong", {}, each.node), ` ${each.why}`)))));
  };
  const lower = (words) => (words ? words[0].toLowerCase() + words.slice(1) : "no reason is known.");

  const WORDS = { passed: "passes", failed: "fails", unknown: "can’t be judged" };
  const DOTS = { passed: "ok", failed: "failed", unknown: "waiting" };
  const testsOf = (proof, tests, remove) => {
    const said = new Map(proof.tests.map((test) => [test.id, test]));
    const shown = tests ? tests.map((test) => ({ ...test, ...(said.get(test.id) || { status: null, why: "" }) })) : proof.tests;
    if (!shown.length) return tests ? part("Tests", el("p", { class: "pl-faint" }, "Say in the chat what must always hold, as in “a refund must go to a person”, and it can be kept as a test.")) : [];
    return part("Tests", el("ul", { class: "pl-tests" }, ...shown.map((test) => testRow(test, remove))));
  };

  const testRow = (test, remove) =>
    el("li", { "data-test": test.id },
      el("div", { class: "pl-test-head" }, el("span", { class: `pl-dot ${DOTS[test.status] || ""}` }), el("strong", {}, test.title),
        el("span", { class: `pl-tag ${DOTS[test.status] || ""}` }, WORDS[test.status] || "not run yet"), el("span", { class: "pl-grow" }),
        remove && el("button", { type: "button", class: "pl-icon-button", title: "Remove this test", "aria-label": `Remove the test “${test.title}”`, "data-keep": `test-${test.id}`, onclick: () => remove(test) }, P.icon("trash"))),
      test.quote && P.quote({ request: test.quote, request_id: P.entries.some((entry) => entry.id === test.message_id) ? test.message_id : null, conversation_id: P.conversation }),
      test.status !== "passed" && test.why && el("p", { class: test.status === "failed" ? "failed" : "pl-faint" }, test.why),
      test.case?.length > 0 && el("details", {}, el("summary", {}, "What is tried"), P.caseRows(test.case)));

  P.caseRows = (rows) =>
    el("dl", { class: "pl-case" }, ...rows.flatMap((row) => [el("dt", {}, row.label), el("dd", {}, ...row.items.map((item) => el("span", {}, item)))]));
})();
