"""Messages as the chat component shows them: text, step cards, drafts, problems, questions, runs, notes.

A message of the store becomes one entry per part. An entry is what `gr.Chatbot` takes on the browser's side,
with two more keys of our own: `id`, the message it belongs to, and `raw`, the text to copy or edit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any
from urllib.parse import quote

from chat.browser import proposals
from chat.browser.asking import question_cards
from chat.browser.card import act, acts, bullets, card, glyph, proof_state, tag
from chat.browser.markdown import as_words, inline, one_line, plain, to_blocks, to_html
from chat.browser.words import (
    as_json,
    asks_models,
    count,
    duration,
    money,
    seconds_between,
    size,
    time_taken,
    tokens_of,
)
from chat.events import Cost
from chat.parts import Parts
from chat.proof import proof_line
from sessions.conversations import Message

Entry = dict[str, Any]
Runs = Mapping[str, Mapping[str, Any]]
MOST_STEPS = 12
MOST_OF_RESULT = 3000  # characters of a run's result in the chat
SHORTEST = 0.05  # seconds worth telling of a step
TYPING = (
    '<div class="pl-typing" role="status"><i></i><i></i><i></i><span class="pl-unseen">Answering</span></div>'
)


def message_entries(message: Message, runs: Runs | None = None) -> list[Entry]:
    """The entries of a message, at least one. `runs` are views of the runs that are under way, by id."""
    if message.role == "user":
        said = f'<div class="pl-said">{plain(message.text)}</div>' if message.text else ""
        return [_entry(message, said + _files(message), raw=message.text)]
    entries: list[Entry] = []
    for index, part in enumerate(message.parts):
        entries.extend(_part_entries(message, index, part, runs or {}))
    entries.extend(_last_words(message))
    if not entries:
        entries.append(_entry(message, '<div class="pl-note">Nothing was said.</div>'))
    if options := _options(message.parts):
        entries[-1]["options"] = options
    return entries


def _files(message: Message) -> str:
    """What is attached to a message, to be saved again."""
    files = [part for part in message.parts if part["kind"] == "file"]
    if not files:
        return ""
    links = "".join(
        f'<a class="pl-file" href="/api/files/{quote(str(file["id"]), safe="")}" download>'
        f"<strong>{plain(str(file['name']))}</strong> {size(int(file['size']))}</a>"
        for file in files
    )
    return f'<div class="pl-files">{links}</div>'


def _entry(
    message: Message,
    content: str,
    *,
    raw: str = "",
    metadata: Mapping[str, Any] | None = None,
    data: Mapping[str, Any] | None = None,
) -> Entry:
    return {
        "id": message.id,
        "raw": raw,
        "role": message.role,
        "content": [{"type": "text", "text": content}],
        "metadata": metadata,
        "options": None,
        "data": data,
    }


def _part_entries(message: Message, index: int, part: Mapping[str, Any], runs: Runs) -> Iterable[Entry]:
    kind = part["kind"]
    if kind in ("test_proposed", "outline", "fix", "question"):
        yield from _proposal_entries(message, index, part)
    elif kind == "text":
        if part["text"].strip():
            yield _entry(message, _text_blocks(message.parts[:index], part["text"]), raw=part["text"].strip())
    elif kind == "step":
        yield _entry(message, to_blocks(part.get("detail") or ""), metadata=_step(part))
    elif kind == "draft":
        yield _entry(message, _draft_card(part))
    elif kind == "problems":
        yield _entry(message, _problems_card(message.id, index, part))
    elif kind == "run_started":
        yield _entry(message, _run_card(message, index, part, runs))
    elif kind == "run_waiting":
        ended = Parts(message.parts).has("run_ended", str(part["run_id"]))
        for asked in question_cards(str(part["run_id"]), part["questions"], ended=ended):
            yield _entry(message, asked)
    elif kind == "error":
        yield _entry(message, _error_card(message.id, part), raw=_sentence(part))


def _proposal_entries(message: Message, index: int, part: Mapping[str, Any]) -> Iterable[Entry]:
    """Cards that the script adds to are found by an id; questions that are put together are answered together."""
    kind, place = part["kind"], f"pl-card-{message.id}-{index}"
    together = _together(message.parts)
    if kind == "test_proposed":
        yield _entry(message, proposals.test_card(part))
    elif kind == "outline":
        asked = [p for p in message.parts[index:] if _about(p) == "outline" and p.get("options")]
        answer = str(asked[0]["options"][0]["value"]) if asked else "Build it"
        data = proposals.outline_data(part, answer)
        yield _entry(message, proposals.outline_card(part, place), data=data and {**data, "place": place})
    elif kind == "fix":
        data = proposals.fix_data(part)
        yield _entry(message, proposals.fix_card(part, place), data=data and {**data, "place": place})
    elif len(together) > 1 and part in together:
        if part == together[-1]:
            data = {**proposals.questions_data(together), "place": place}
            raw = "\n\n".join(str(question["text"]) for question in together)
            yield _entry(message, proposals.questions_card(together, place), raw=raw, data=data)
    elif part["text"].strip():
        text, raw = _text_blocks(message.parts[:index], part["text"]), part["text"].strip()
        data = proposals.offer_data(part) if _about(part) == "run" else None
        if data:
            text += f'\n\n<div class="pl-offer" id="{place}"></div>'
        yield _entry(message, text, raw=raw, data=data and {**data, "place": place})


def _about(part: Mapping[str, Any]) -> str | None:
    """What a question is about, None for what is none."""
    return str((part.get("about") or {}).get("kind", "asked")) if part["kind"] == "question" else None


def _together(parts: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The questions of the assistant's own in a message."""
    return [part for part in parts if _about(part) == "asked"]


def _text_blocks(before: Sequence[Mapping[str, Any]], text: str) -> str:
    """A text; of the long one that tells a run's outputs only the beginning, as the Run tab has the whole."""
    run = next((str(part["run_id"]) for part in reversed(before) if part["kind"] == "run_started"), None)
    if run is None or len(text) <= MOST_OF_RESULT:
        return to_blocks(text)
    return to_blocks(beginning(text, MOST_OF_RESULT)) + one_line(
        f'<div class="pl-more">{_shown_of(MOST_OF_RESULT, text)} {act("Show all", f"run:{run}")}</div>'
    )


def _step(part: Mapping[str, Any]) -> dict[str, Any]:
    """What makes the component draw a card that opens and closes."""
    shown: dict[str, Any] = {
        "title": f'<span class="pl-step {escape(part["status"])}">{as_words(part["title"])}</span>',
        "status": "pending" if part["status"] == "running" else "done",
        "id": str(part["id"]),
    }
    if part.get("seconds") and part["seconds"] >= SHORTEST:
        shown["log"] = duration(float(part["seconds"]))
    return shown


def _options(parts: Sequence[Mapping[str, Any]]) -> list[dict[str, str]] | None:
    asked = [part for part in parts if part["kind"] == "question" and part.get("options")]
    if not asked or len(_together(parts)) > 1:  # these have their own card
        return None
    options = [
        {"label": str(option["label"]), "value": str(option["value"])} for option in asked[-1]["options"]
    ]
    return (options[1:] if _about(asked[-1]) == "outline" else options) or None


# --- cards ------------------------------------------------------------------------------------------------


def _draft_card(part: Mapping[str, Any]) -> str:
    """A new version: what was asked and changed, what of it is proved, and the way back while it is the newest."""
    name, version = str(part["workflow"]), int(part["version"])
    place = f"{quote(name, safe='')}:{version}"
    undo = act("Undo", f"undo:{place}", "pl-undo") + act("Bring it back", f"redo:{place}", "pl-undo")
    buttons = acts(undo if version > 1 else "", act("Show", "show:graph"))
    head = f"{glyph('flow')}<strong>{escape(name)}</strong>{tag(f'version {version}')}{buttons}"
    summary = str(part.get("summary") or "")
    body = f'<div class="pl-card-text">{one_line(inline(summary))}</div>' if summary else ""
    changes = [
        str(words) for words in part.get("changes") or () if str(words).strip(". ") != summary.strip(". ")
    ]
    body += bullets(changes if version > 1 else ())
    proof = part.get("proof")
    if proof:
        state = f'<span class="pl-dot {proof_state(proof)}"></span>'
        line = f"{state}<span>{plain(proof_line(proof))}</span>"
        body += f'<button type="button" class="pl-act pl-proof-line" value="version:{escape(place)}">{line}</button>'
    return card("draft", head, body + _problem_list(part.get("problems") or ()))


def _problems_card(message_id: str, index: int, part: Mapping[str, Any]) -> str:
    found = count(len(part["problems"]), "problem")
    head = (
        f'<span class="pl-glyph warn"></span><strong>Draft not saved</strong>'
        f'<span class="pl-tag failed">{found}</span>{act("Open in editor", f"mend:{message_id}:{index}")}'
    )
    return card("problems", head, _problem_list(part["problems"]))


def _problem_list(problems: Sequence[Mapping[str, Any]]) -> str:
    rows = "".join(
        f'<li class="{escape(str(p["severity"]))}"><span class="pl-line">line {int(p["line"])}</span>'
        f"<span>{plain(str(p['message']))}</span></li>"
        for p in problems[:MOST_STEPS]
    )
    more = len(problems) - MOST_STEPS
    rows += f"<li><span></span><span>… and {more} more</span></li>" if more > 0 else ""
    return f'<ul class="pl-problem-list">{rows}</ul>' if rows else ""


def _run_card(message: Message, index: int, part: Mapping[str, Any], runs: Runs) -> str:
    """The run at a glance; its outputs too where no text after it tells them."""
    run_id = str(part["run_id"])
    ended = next((p for p in message.parts if p["kind"] == "run_ended" and p["run_id"] == run_id), None)
    run: Mapping[str, Any] = (ended["run"] if ended else runs.get(run_id)) or {}
    status = str(ended["status"] if ended else run.get("status") or "running")
    head = (
        f'<span class="pl-dot {escape(status)}"></span><strong>{escape(str(part["workflow"]))}</strong>'
        f'<span class="pl-tag {escape(status)}">{RUN_WORDS.get(status, status)}</span>'
        f"{act('Details', f'run:{run_id}')}"
    )
    asked = [
        q
        for p in message.parts
        if p["kind"] == "run_waiting" and p["run_id"] == run_id
        for q in p["questions"]
    ]
    body = _run_steps(run.get("nodes") or ()) + _run_facts(run, asked)
    told = any(p["kind"] == "text" and p["text"].strip() for p in message.parts[index + 1 :])
    if ended and not told:
        body += _run_outcome(run)
    return card("run", head, body)


RUN_WORDS = {
    "ok": "done",
    "failed": "failed",
    "cancelled": "stopped",
    "waiting": "waits for you",
    "unknown": "may have happened",
    "running": "running",
}


def _run_steps(nodes: Sequence[Mapping[str, Any]]) -> str:
    """Each node once, at its latest visit; of many only the last ones."""
    latest = {str(node["id"]): node for node in nodes if not _is_inner(str(node["id"]))}
    shown = list(latest.values())[-MOST_STEPS:]
    before = len(latest) - len(shown)
    rows = f'<li class="pl-faint">{count(before, "step")} before</li>' if before else ""
    rows += "".join(
        f'<li><span class="pl-dot {escape(str(node["status"]))}"></span><span>{escape(str(node["id"]))}</span>'
        f'<span class="pl-faint">{_took(node)}</span></li>'
        for node in shown
    )
    return f'<ul class="pl-steps">{rows}</ul>' if rows else ""


def _is_inner(row: str) -> bool:
    """Whether a row is of an element or a call within a step."""
    return "[" in row or "/" in row


def _took(node: Mapping[str, Any]) -> str:
    return duration(seconds_between(node.get("started_at"), node.get("ended_at")))


def _run_facts(run: Mapping[str, Any], asked: Sequence[Mapping[str, Any]]) -> str:
    if not run.get("ended_at"):
        return ""
    facts = [
        time_taken(run, asked),
        *([tokens_of(run), f"cost {money(run.get('cost_usd'))}"] if asks_models(run) else []),
    ]
    return f'<div class="pl-facts">{" · ".join(fact for fact in facts if fact)}</div>'


def _run_outcome(run: Mapping[str, Any]) -> str:
    if run.get("error"):
        return f'<div class="pl-card-text">{plain(str(run["error"]))}</div>'
    told = outputs_shown(run.get("outputs") or {}, MOST_OF_RESULT)
    rest = any(output["rest"] for output in told)
    more = f'<div class="pl-more">{act("Show all", "run:" + str(run["run_id"]))}</div>' if rest else ""
    return f'<div class="pl-outcome">{"".join(output["html"] for output in told)}{more}</div>'


def outputs_shown(outputs: Mapping[str, Any], most: int) -> list[dict[str, Any]]:
    """The outputs that say something as {name, html, rest}, one alone without its name in the html. `rest` is in
    words how much was left out, "" for nothing.
    """
    told = {name: value for name, value in outputs.items() if value not in (None, "", [], {})}
    if not told:
        nothing = '<div class="pl-note">The run ended and gave no output.</div>'
        return [{"name": "", "html": nothing, "rest": ""}]
    return [_output(name, value, most, labelled=len(told) > 1) for name, value in told.items()]


def _output(name: str, value: Any, most: int, *, labelled: bool) -> dict[str, Any]:
    """Text as Markdown, anything else as JSON."""
    label = f'<div class="pl-label">{escape(name)}</div>' if labelled else ""
    text = value if isinstance(value, str) else as_json(value)
    cut = beginning(text, most)
    shown = one_line(to_html(cut)) if isinstance(value, str) else f"<pre><code>{plain(cut)}</code></pre>"
    rest = _shown_of(len(cut), text) if len(cut) < len(text) else ""
    return {"name": name, "html": f'<div class="pl-output">{label}{shown}</div>', "rest": rest}


def beginning(text: str, most: int) -> str:
    """At most so many characters, to the end of a line or a word where one is near."""
    if len(text) <= most:
        return text
    cut = text[:most]
    at = max(cut.rfind("\n", most - most // 5), 0) or max(cut.rfind(" ", most - most // 5), 0)
    return (cut[:at] if at else cut) + " …"


def _shown_of(shown: int, text: str) -> str:
    return f"The first {shown:,} of {len(text):,} characters."


def _error_card(message_id: str, part: Mapping[str, Any]) -> str:
    head = f'<span class="pl-glyph warn"></span><strong>{plain(str(part["message"]))}</strong>'
    fix = f'<div class="pl-card-text">{plain(str(part["fix"]))}</div>' if part.get("fix") else ""
    ways = act("Try again", f"retry:{message_id}")
    if str(part.get("code", "")).startswith("model"):
        ways += act("Set up a model", "settings")
    if part.get("code") == "daily_cap":
        ways += act("Change the cap", "settings:assistant")
    return card("error", head, f'{fix}<div class="pl-acts">{ways}</div>', role="alert")


def _sentence(part: Mapping[str, Any]) -> str:
    return " ".join(str(part[key]) for key in ("message", "fix") if part.get(key))


# --- what stands at the end of a message ------------------------------------------------------------------


def _last_words(message: Message) -> Iterable[Entry]:
    if message.status == "live":
        if message.phase == "queued":
            yield _entry(message, '<div class="pl-note">Comes after the answer above.</div>')
        elif _is_silent(message.parts):
            yield _entry(message, TYPING)
        return
    if message.status == "stopped":
        yield _entry(message, '<div class="pl-note">Stopped.</div>')
    elif message.status == "interrupted":
        again = act("Try again", f"retry:{message.id}") if message.reply_to else ""
        yield _entry(
            message, f'<div class="pl-note">Interrupted: the program was ended meanwhile. {again}</div>'
        )
    if spent := _spent(message.parts):
        yield _entry(message, f'<div class="pl-spent">{escape(spent)}</div>')


def _is_silent(parts: Sequence[Mapping[str, Any]]) -> bool:
    """Whether nothing in the message moves by itself, so that the person needs a sign of life."""
    if not parts or parts[-1]["kind"] in ("text", "question"):
        return not parts
    return (
        not any(part["kind"] == "step" and part["status"] == "running" for part in parts)
        and not Parts(parts).open_runs()
    )


def _spent(parts: Sequence[Mapping[str, Any]]) -> str:
    """Who answered, with what it took: "gpt-x · 1,204 tokens · $0.0021"."""
    costs = [part for part in parts if part["kind"] == Cost.kind]
    if not costs:
        return ""
    models = ", ".join(dict.fromkeys(str(part["model"]) for part in costs))
    dollars = [part["cost_usd"] for part in costs]
    total = None if any(value is None for value in dollars) else sum(dollars)
    return " · ".join(filter(None, [models, _all_tokens(costs), f"cost {money(total)}"]))


def _all_tokens(costs: Sequence[Mapping[str, Any]]) -> str:
    counts = [part[key] for part in costs for key in ("prompt_tokens", "completion_tokens")]
    return "tokens unknown" if any(n is None for n in counts) else count(sum(counts), "token")
