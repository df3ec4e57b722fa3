"""What is said, written and answered in the pictures of changes, tests, plans and mends."""

from __future__ import annotations

from typing import Any

from tests.browser.server import example
from tests.fakes.openai_server import Reply

DESK = "Sort the tickets of our shop and draft the answers; a person has the last word on refunds"
REFUND = "If a ticket mentions a refund, a person must look at it."
THREAT = "And when somebody threatens with a lawyer, nothing may be answered by itself."
SHOP = """\
schema_version: "1.0"
flow:
  name: shop_desk
  description: Sort a ticket of the shop and draft the answer
  outputs: [answer]
state:
  fields:
    ticket: {type: str, required: true, description: What the customer wrote}
    kind: {type: str, enum: [question, refund, threat], description: What it is}
    calm: {type: bool, description: Whether it can wait}
    approved: {type: bool, description: Whether the money goes back}
    prices: {type: any, description: What things cost today}
    answer: {type: str, description: The draft of the answer}
nodes:
  - id: classify
    prompt: |
      Is this a question, a refund or a threat? Can it wait until tomorrow?

      Ticket: {state.ticket}
    outputs: [kind, calm]
  - id: prices
    tool: http_get
    args: {url: "https://shop.example/prices.json"}
    outputs: [prices]
  - id: person
    ask: "May this be paid back? {state.ticket}"
    outputs: [approved]
  - id: later
    tool: text_template
    args: {template: "Thank you, we will write to you tomorrow."}
    outputs: [answer]
  - id: reply
    prompt: "Answer this ticket, short and friendly: {state.ticket} Prices: {state.prices}"
    outputs: [answer]
edges:
  - {from: START, to: classify}
  - from: classify
    routes:
      - {condition: "state.kind == 'refund'", to: person}
      - {condition: "state.calm and len(state.kind) > 20", to: later}
      - {condition: default, to: prices}
  - {from: prices, to: reply}
  - {from: person, to: reply}
  - {from: later, to: END}
  - {from: reply, to: END}
"""
CALMER = "Please make the apology calmer, and let the team know in two sentences"
TRY = "What would it make of a ticket that says: our invoices have been wrong for three months?"
QUESTIONS = "Send our sales report to the team"
FILES = "Which of these orders are late? The picture is of the shelf."
WEEKLY = "Run it every Monday at nine; the team meets at ten"
NEWSLETTER = "Build our monthly newsletter: collect, sort, write, translate, check and send it to the team"
SENTENCES = (
    "Collect the news of the month",
    "Sort out what is of no interest",
    "Write a short text on each",
    "Find a title for each",
    "Write the greeting",
    "Translate all of it into German",
    "Put the newsletter together",
    "Check names, dates and links",
    "Ask the editor for a last look",
)
NEEDS = ("notes", "step_1", "step_2", "step_2", "notes", "step_3", "step_4 step_5 step_6", "step_7", "step_8")
RECORD = '{"name": "Ada Miller", "email": "ada@example.com", "open_since": "3 May"}'
REMINDERS = """\
schema_version: "1.0"
flow: {name: remind_customer, description: Write a friendly reminder, outputs: [letter]}
state:
  fields:
    record: {type: str, required: true, description: The customer as JSON}
    customer: {type: dict, description: The customer}
    letter: {type: str, description: The letter}
nodes:
  - id: read
    tool: json_parse
    args: {text: "{state.record}"}
    outputs: [customer]
  - id: write
    prompt: "Write a friendly reminder to {state.customer.e_mail}."
    outputs: [letter]
edges:
  - {from: START, to: read}
  - {from: read, to: write}
  - {from: write, to: END}
"""
REFUSED = "Write a friendly reminder, signed by our bank, to"
"""The fake's key is refused for this prompt."""
ABROAD = REMINDERS.replace("Write a friendly reminder to", REFUSED).replace("e_mail", "email")
LETTER = """\
schema_version: "1.0"
flow: {name: write_letter, description: Write a letter and shorten it}
state:
  fields:
    about: {type: str, required: true}
    long: str
    letter: str
nodes:
  - {id: draft, prompt: "Draft a letter about {state.about}", outputs: [long]}
  - {id: shorten, prompt: "Shorten it to three sentences: {state.long}", outputs: [letter]}
edges:
  - {from: draft, to: shorten}
"""
ORDER = """\
schema_version: "1.0"
flow: {name: confirm_order, description: Write the letter that goes with an order, outputs: [done]}
state:
  fields:
    order: {type: str, required: true, description: What was ordered}
    when: {type: str}
    letter: {type: str}
    done: {type: str}
nodes:
  - {id: date, tool: current_time, outputs: [when]}
  - {id: letter, workflow: write_letter, inputs: {about: "{state.order}"}, outputs: [letter]}
  - id: sign
    tool: text_template
    args: {template: "{state.letter} ({state.when})"}
    outputs: [done]
edges:
  - {from: date, to: letter}
  - {from: letter, to: sign}
"""


def _test(title: str, quote: str, kind: str, **expected: list[str]) -> Reply:
    ticket = {
        "refund": "The lamp is broken, I want my money back.",
        "threat": "You will hear from my lawyer.",
    }
    case = {
        "inputs": {"ticket": ticket[kind]},
        "given": {"classify": {"kind": kind, "calm": False}, "person": {"approved": True}},
        **expected,
    }
    return Reply(tool_calls=(("propose_test", {"title": title, "quote": quote, "case": case}),))


def _plan() -> dict[str, Any]:
    steps = [
        {
            "id": f"step_{n}",
            "sentence": sentence,
            "kind": "ask" if "Ask" in sentence else "llm",
            "needs": needs.split(),
        }
        for n, (sentence, needs) in enumerate(zip(SENTENCES, NEEDS, strict=True), 1)
    ]
    notes = {"name": "notes", "type": "str", "description": "What happened this month"}
    return {"name": "Newsletter", "description": "Write the newsletter", "inputs": [notes], "steps": steps}


ASKING = [
    {
        "key": "channel",
        "question": "Where should the report go?",
        "options": ["By e-mail", "To our chat", "Into a file"],
    },
    {
        "key": "level",
        "question": "How detailed should it be?",
        "options": ["Totals only", "By region", "By product"],
    },
]
EDITS = [
    {"op": "replace", "at": "a short, calm reply", "text": "a short and very calm reply"},
    {"op": "replace", "at": "Write one sentence for", "text": "Write two sentences for"},
]
SAYS: dict[str, Reply] = {
    DESK: Reply(
        text="Here is a desk for your tickets. ",
        tool_calls=(("write_workflow", {"yaml": SHOP, "summary": "Sorts tickets, asks about refunds"}),),
    ),
    REFUND: _test("Refunds go to a person", REFUND, "refund", must_run=["person"]),
    THREAT: _test("No answer to a threat by itself", THREAT, "threat", must_not_run=["reply"]),
    CALMER: Reply(tool_calls=(("edit_workflow", {"edits": EDITS, "summary": "Calmer, and a longer brief"}),)),
    TRY: Reply(
        tool_calls=(
            ("run_workflow", {"inputs": {"ticket": "Our invoices have been wrong for three months."}}),
        )
    ),
    QUESTIONS: Reply(tool_calls=(("ask_person", {"questions": ASKING}),)),
    NEWSLETTER: Reply(tool_calls=(("plan_workflow", _plan()),)),
    WEEKLY: Reply(
        tool_calls=(
            ("schedule_workflow", {"cron": "0 9 * * 1", "inputs": {"appointments": "10:00 the team meets"}}),
        )
    ),
    FILES: Reply(text="Two of the three orders are late: the **lamps** by four days, the **chairs** by one."),
}
TRIAGE = example("triage_ticket")


def said(body: dict[str, Any]) -> Reply | None:
    """What the model answers in these scenes; None for what is not of them."""
    messages = body["messages"]
    last = str(messages[-1].get("content"))
    if REFUSED in last:
        return Reply(status=401, message="Incorrect API key provided")
    if "alone: " in last and not body.get("tools"):
        return _step_of_plan(last)
    if messages[-1]["role"] == "tool":
        return None
    return next((reply for words, reply in SAYS.items() if words in last), None)


def _step_of_plan(prompt: str) -> Reply:
    """One step; the later ones take a while, so that there is something to see."""
    sentence = prompt.split("alone: ", 1)[1].split("\n", 1)[0]
    delay = 0.2 if SENTENCES.index(sentence) < 4 else 6.0
    if "Ask" in sentence:
        return Reply(
            value={"uses": ["step_8"], "question": "Is this ready to be sent? {step_8}"}, delay=delay
        )
    return Reply(value={"uses": [], "prompt": f"{sentence}.", "type": "str"}, delay=delay)
