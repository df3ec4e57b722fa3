"""Examples are found by what people say in other words; and what is no request is told from one."""

from __future__ import annotations

import pytest

from chat.assistant.nearest import Nearest
from chat.assistant.small.meaning import CLEAR, INTENT, MARGIN, NEAR
from chat.assistant.small.words import read_request
from chat.gallery import Gallery

REQUESTS = {
    "summarise_and_translate": (
        "Summarise a text and translate it to German",
        "I have a long article, make it short and then in Spanish please",
        "boil this down to the essentials and give it to me in Italian",
        "Make me a workflow that sums up a document and translates the summary",
        "fasse einen Text zusammen und übersetze ihn",
    ),
    "triage_ticket": (
        "incoming customer messages should be sorted by how urgent they are",
        "our support inbox needs sorting and draft answers",
        "build something that classifies help requests and replies",
    ),
    "compare_products": (
        "I can't decide between two phones",
        "help me choose between two apartments",
        "which of two vacuum cleaners should I get",
    ),
    "draft_and_review": (
        "write a story, criticise it, and improve it until it's great",
        "an essay that gets edited again and again until good",
        "author and critic loop",
    ),
    "research_in_parallel": (
        "look at a question from different perspectives and summarise",
        "pros and cons of moving to the countryside as a report",
        "investigate a topic thoroughly",
    ),
    "extract_to_table": (
        "get all the names and prices out of this text as rows",
        "turn this description into structured data",
        "make a table from my notes",
    ),
    "check_invoice": (
        "check incoming bills and flag the expensive ones",
        "read the invoice and tell me whether the boss must sign",
    ),
    "meeting_notes_to_tasks": (
        "to-dos from the minutes of our meeting",
        "what did we agree on and who does what",
        "turn a call transcript into action items",
    ),
    "daily_brief": (
        "prepare my day",
        "every morning tell me what's on",
        "plan today with my appointments",
    ),
    "answer_email": (
        "reply to my mails",
        "help me write back to a customer",
        "answer a message I received",
    ),
    "rewrite_for_tone": (
        "make this sound nicer",
        "please rephrase my text so it's more formal",
        "too harsh, soften this note",
    ),
    "make_quiz": (
        "I need exam questions about photosynthesis",
        "test my knowledge of Roman history",
        "create a pop quiz for pupils",
    ),
    "review_code": (
        "find errors in my Python program",
        "look over my pull request",
        "is this function safe",
    ),
    "screen_cv": (
        "evaluate job applicants",
        "is this candidate any good for our position",
        "read a resume and compare with the job ad",
    ),
    "incident_report": (
        "write up what went wrong last night with the server",
        "post mortem of a crash",
    ),
    "press_release": (
        "announce our new cafe to the media",
        "write news about our event for journalists",
    ),
    "study_plan": (
        "I want to learn guitar in two months",
        "prepare for my maths exam, week by week",
        "organise my learning",
    ),
    "summarise_page": (
        "what's on this website",
        "read https://example.com/news and tell me the gist",
        "summarise a link",
    ),
    "explain_csv": (
        "analyse this spreadsheet",
        "what do my sales figures say",
        "look at comma separated data and explain",
    ),
    "check_config": (
        "explain this yaml file",
        "is my nginx configuration safe",
    ),
    "translate_to_many": (
        "translate a sign into three languages",
        "I need the same text in English, French and Polish",
    ),
    "brainstorm_and_pick": (
        "give me ideas for a birthday party",
        "think up names for my startup and choose one",
        "I need a creative idea",
    ),
    "write_with_approval": (
        "write a speech and let me approve it first",
        "draft an invitation, I want to correct it until it is right",
    ),
    "digest_pages": (
        "read several websites and answer one question from all of them",
        "go through this list of links and compare what they say",
    ),
    "split_expenses": (
        "who has to pay whom after our holiday",
        "share the costs of the flat fairly",
    ),
    "survey_report": (
        "count what people think in their feedback",
        "evaluate the answers of a questionnaire",
    ),
    "inspect_site": (
        "is my homepage reachable",
        "can my website be opened",
    ),
    "choose_and_plan": (
        "suggest three trips, I choose one, then plan it",
        "give me options to pick from and work out the one I take",
    ),
    "practise_questions": (
        "ask me vocabulary and correct my answers",
        "let me practise for the driving test by asking me questions",
    ),
    "report_from_api": (
        "call a REST endpoint and describe the result",
        "get weather json from a url and tell me about it",
    ),
}
TALK = (
    "hello there",
    "thanks a lot!",
    "what is the capital of Spain",
    "tell me something funny",
    "who are you",
    "what can you do?",
    "good evening",
    "I am tired",
    "can you help me",
    "2+2?",
    "who is the president",
    "ok",
    "nice",
    "Why is the sky blue?",
    "do you speak German",
    "I love you",
    "stop",
)


@pytest.fixture(scope="module")
def nearest() -> Nearest:
    return Nearest(Gallery())


async def test_requests_in_other_words_find_their_example(nearest: Nearest) -> None:
    pairs = [(name, text) for name, texts in REQUESTS.items() for text in texts]
    first = third = 0
    for name, text in pairs:
        found = await nearest.find(read_request(text).wish)
        names = [match.example.name for match in found.examples[:3]]
        first += names[0] == name
        third += name in names
        clear = found.examples[0].score >= CLEAR
        if clear and found.examples[0].score - found.examples[1].score >= MARGIN:
            assert names[0] == name, text
    assert first >= 0.92 * len(pairs)
    assert third >= 0.98 * len(pairs)


@pytest.mark.parametrize("text", TALK)
async def test_talk_is_not_taken_for_a_request(nearest: Nearest, text: str) -> None:
    found = await nearest.find(text)
    assert found.examples[0].score < CLEAR
    assert (
        found.intent_score >= INTENT
        or found.examples[0].score < NEAR
        or found.intent in ("chat", "help", "greeting", "thanks")
    )


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("please let it run once", "run"),
        ("show my workflows", "list"),
        ("what happened in the last run", "runs"),
        ("how does this thing work", "explain"),
        ("are there templates?", "examples"),
        ("what can you do for me?", "help"),
        ("hello there", "greeting"),
        ("thanks a lot!", "thanks"),
    ],
)
async def test_what_is_wanted_of_the_assistant_itself(nearest: Nearest, text: str, intent: str) -> None:
    found = await nearest.find(text)
    assert found.intent == intent
    assert found.intent_score >= INTENT
    assert found.intent_score > found.examples[0].score
