"""Wishes about how a step says something, added to its prompt as the person's own sentence; and values that a step is
to be given. Only where it is plain which step is meant, and nothing about the order of steps is said.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from chat.assistant.small.numbers import counted
from chat.assistant.small.places import (
    BOTH,
    Plain,
    Unsure,
    fields_meant,
    fields_of,
    ids,
    inputs_of,
    label_of,
    meant,
    outputs_of,
    said_more,
    text_key,
    texts,
    which_step,
    words_of,
)
from chat.assistant.small.settings import language_in
from engine.document import Document

_LEAD = re.compile(
    r"^(?:(?:please|pls|ok(?:ay)?|great|good|hm+|oh|yes|no|and|but|also|now|then|just|well|bitte|und|auch|so|"
    r"(?:can|could|would)\s+you|i\s+(?:want|would\s+like|'d\s+like))\b[\s,:!.]*)+",
    re.IGNORECASE,
)
_TAIL = re.compile(
    r"(?:[\s,]+(?:please|pls|plz|bitte|both|thanks|thank\s+you))+[\s.!]*$|[\s.!]+$", re.IGNORECASE
)
_SHAPE = re.compile(
    # what is about steps, ways and runs, not about words
    r"\b(?:steps?|if|when|whenever|unless|otherwise|else|inputs?|fields?|add|remove|drop|delete|runs?|before|after|between|"
    r"approv\w+|reject\w*|code|exactly|csv|remember|undo|back|new|rename|schedule|every\s+(?:day|week|month|hour)|workflow|"
    r"loop|again|whats?|why|how|default|optional|first|fourth|instead|broken|fix|repair|called|fail\w*|tag|"
    r"schritte?|eingabe|feld|wenn|falls|sobald|paso|étape|krok|passo|campo|pole|stap|veld|si|se|jeśli)\b",
    re.IGNORECASE,
)
_MODAL = re.compile(
    r"\b(?:should|must|needs?(?:\s+to)?|ha(?:s|ve)\s+to|shall|ought\s+to|may\s+not|soll(?:en|te|ten)?|muss|müssen|darf|dürfen|"
    r"debe[n]?|doit|doivent|deve|devono|ma\s+być|moet(?:en)?)\b",
    re.IGNORECASE,
)
_TONE = re.compile(
    r"\b(?:tone|style|formal\w*|informal|friendl\w+|polite\w*|politer|warm\w*|casual|professional\w*|short\w*|brief\w*|long\w*|"
    r"simpl\w+|concise|clear\w*|neutral|funn\w+|serious|rhym\w+|past\s+tense|present\s+tense|bullet\w*|emojis?|plain)\b",
    re.IGNORECASE,
)
_LENGTH = re.compile(
    r"(?:\b(?:\d+|half\s+an?|one|two|three|four|five|six|seven|eight|nine|ten)\s+(?:\w+\s+){0,2}?"
    r"(?:words?|sentences?|lines?|points?|bullets?|paragraphs?|characters?|pages?|items?|wörter|sätze|zeilen|palabras|phrases|mots)\b)",
    re.IGNORECASE,
)
_PERSON = re.compile(
    r"^(?:i|you|we|he|she|thanks?|thank\s+you|is|are|was|were|do|does|did|that\s+(?:was|is)|ich|du|wir)\b",
    re.IGNORECASE,
)
_GENERIC = re.compile(
    r"(?:it|this|them|they|that|the\s+(?:workflow|result|output|text|whole\s+thing))", re.IGNORECASE
)
_COLON = re.compile(r"^(?:the\s+)?(?P<s>\w[\w -]{1,30}):\s+(?P<t>\S.*)$", re.DOTALL)
_MAKE = re.compile(
    r"^(?:make|have|let)\s+(?:it|them|the\s+(?:\w+\s+){0,2}?\w+)\s+(?:to\s+)?(?P<v>answer|write|speak|reply|respond|talk|say|use|rhyme|sound)\b(?P<r>.*)$",
    re.IGNORECASE,
)
_TELL = re.compile(r"^tell\s+(?P<s>the\s+[\w ]+?)\s+(?:also\s+)?(?P<n>not\s+)?to\s+(?P<t>.+)$", re.IGNORECASE)
_BEIM = re.compile(r"^(?:beim|im)\s+(?P<s>\w+)\s+(?P<t>(?:auch|bitte|noch|nur|immer)\s+.+)$", re.IGNORECASE)
_ALL_OF = re.compile(
    r"^in\s+(?:all|both|each)(?:\s+of\s+(?:them|these))?(?:\s+steps)?\s*[:,]\s*(?P<t>.+)$", re.IGNORECASE
)
_GIVE = (
    re.compile(r"^use\s+(?:the\s+)?(?P<f>[\w ]+?)\s+(?:when|while|in|for|to)\s+(?P<s>[\w ]+)$", re.IGNORECASE),
    re.compile(r"^(?:put|include|mention|show)\s+(?:the\s+)?(?P<f>[\w ]+?)\s+(?:in|into|to)\s+(?:the\s+)?"
    r"(?P<s>[\w ]+)$", re.IGNORECASE),
    re.compile(
        r"^(?:the\s+)?(?P<s>[\w ]+?)\s+(?:(?:should|must|has\s+to|needs\s+to)\s+)?(?:also\s+)?"
        r"(?:sees?|gets?|knows?|reads?|uses?|considers?|looks?\s+at)"
        r"\s+(?:at\s+)?(?:the\s+)?(?P<f>[\w' ]+?)(?:\s+(?:as\s+well|too))?(?:,?\s+and\s+(?P<r>.+))?$",
        re.IGNORECASE,
    ),
    re.compile(r"^(?:the\s+)?(?P<f>[\w ]+?)\s+should\s+(?:also\s+)?be\s+(?:on|in)\s+(?:the\s+)?(?P<s>[\w ]+?)"
    r"(?:\s+(?:as\s+well|too))?$", re.IGNORECASE),
)  # fmt: skip


def trimmed(text: str) -> str:
    """A clause without the words of politeness around it."""
    return _TAIL.sub("", _LEAD.sub("", text.strip())).strip()


def given(clause: str, document: Document) -> Plain | None:
    """`use the opinion when shopping`: a field that a step is to be given; None unless both are plain."""
    for pattern in _GIVE:
        found = pattern.match(trimmed(clause))
        if not found:
            continue
        steps = meant(found["s"], document, texts(document))
        if len(steps) != 1:
            continue
        unread = [
            name
            for name in fields_of(document)
            if f"{{state.{name}" not in str(steps[0][str(text_key(steps[0]))])
        ]
        fields = fields_meant(found["f"], document, [n for n in unread if n not in outputs_of(steps[0])])
        if len(fields) != 1 or not _known_before(document, fields[0], steps[0]):
            continue
        rest = found.groupdict().get("r")
        edit = said_more(document, steps[0], [rest] if rest else [], [label_of(fields[0])])
        more = f", and told it: {rest}" if rest else ""
        return Plain((edit,), f"Gave `{fields[0]}` to `{steps[0]['id']}`{more}", (str(steps[0]["id"]),))
    return None


def _known_before(document: Document, field: str, step: Mapping[str, Any]) -> bool:
    """Whether a field is an input, or filled by a step above this one where steps follow one another."""
    if field in inputs_of(document):
        return True
    nodes = document.data["nodes"]
    above = nodes[: nodes.index(step)]
    return any(field in outputs_of(node) for node in above)


def said(clause: str, document: Document, hint: Sequence[str] = ()) -> Plain | Unsure | None:
    """A wish about words: the number that it changes, else its sentence in the prompt of the step that it concerns.
    `hint` are the steps that were named beside it.
    """
    every = _ALL_OF.match(clause.strip())
    text = trimmed(every["t"] if every else clause)
    subject, sentence = _subject_and_sentence(text)
    if _SHAPE.search(text) or "?" in text or not _about_words(text, subject):
        return None
    among = [node for node in texts(document) if not hint or str(node["id"]) in hint]
    named = bool(words_of(subject)) and not _GENERIC.fullmatch(subject.strip())
    steps = meant(subject, document, among, least=2) if named else []
    both = bool(every or BOTH.search(clause))
    if named and not steps and not hint and len(among) > 1:
        return None
    number = counted(text, document, subject if steps else "")
    if isinstance(number, Plain) and (not hint or set(number.steps) <= set(hint)):
        return number
    if not steps:
        steps = among if len(among) == 1 or both or hint else []
    if not steps:
        return which_step(f"Which step should “{sentence}” go to?", among, text) if among else None
    if len(steps) > 1 and not both and not hint:
        return which_step(f"Which step should “{sentence}” go to?", steps, text)
    edits = tuple(said_more(document, node, [sentence]) for node in steps)
    return Plain(edits, f"Added “{sentence}” to {ids(steps)}", tuple(str(node["id"]) for node in steps))


def _about_words(text: str, subject: str) -> bool:
    """Whether a clause is a wish about what is written."""
    if _PERSON.match(text):
        return False
    colon = _COLON.match(text) and subject
    if (
        not _MODAL.search(text)
        and re.search(r"\b(?:is|are|was|were|ist|sind|war)\b", text, re.IGNORECASE)
        and not colon
    ):
        return False
    plain = (
        _MODAL.search(text)
        or _TONE.search(text)
        or _LENGTH.search(text)
        or language_in(text)
        or _TELL.match(text)
        or _BEIM.match(text)
    )
    return bool((colon or plain) and len(text.split()) <= 40)


def _subject_and_sentence(text: str) -> tuple[str, str]:
    """The words that say whom a wish is about, and the sentence for the prompt."""
    if found := _COLON.match(text):
        return found["s"], found["t"]
    if found := _TELL.match(text):
        return found["s"], f"{'do not ' if found['n'] else ''}{found['t']}"
    if found := _BEIM.match(text):
        return found["s"], found["t"]
    if found := _MAKE.match(text):
        told = re.match(r"^\w+\s+(?P<s>it|them|the\s+(?:\w+\s+){0,2}?\w+)\s", text, re.IGNORECASE)
        return told["s"] if told else "", f"{found['v']}{found['r']}"
    if found := _MODAL.search(text):
        return text[: found.start()], text
    if found := re.match(
        r"^make\s+(?P<s>the\s+[\w ]+?)\s+(?=more\b|less\b|\w+er\b|short|long|formal|friendly)",
        text,
        re.IGNORECASE,
    ):
        return found["s"], text
    if re.match(r"^(?:make\s+it|use|be|write|answer|reply|keep|summari[sz]e)\b", text, re.IGNORECASE):
        return re.sub(r"^\w+(?:\s+it)?", "", text, count=1) if not re.match(
            r"^(?:use|be|make)\b", text, re.IGNORECASE
        ) else "", text
    head = re.match(r"^(?:the\s+)?[\w' -]+?(?=\s+(?:in|max\w*|at\s+most|under|of)\b)", text, re.IGNORECASE)
    return (head.group() if head else ""), text
