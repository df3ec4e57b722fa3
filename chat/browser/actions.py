"""What a person does on the page: one server function each, called by the page's script.

Each finds out who asks and hands his name to the service, which checks that what is asked for is his. It answers
with plain JSON: what came of it, or {error, fix} in words.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import gradio as gr

from chat.browser.asking import answered_before
from chat.browser.views import estimate_view, problems_view
from engine.errors import Conflict, InputError, NotFound, ParlanceError, WorkflowInvalid
from engine.view import question_view

if TYPE_CHECKING:
    from chat.browser.house import House

logger = logging.getLogger(__name__)

NAMES = (
    *("send", "stop", "edit", "retry", "rename", "delete"),
    *("check", "patch", "save", "restore", "run", "cancel", "answer", "estimate"),
    *("models", "choose", "set_key", "try_model"),
)
Answer = dict[str, Any]
Given = dict[str, Any]


class Actions:
    """The functions, bound to the house."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._service = house.service

    @property
    def functions(self) -> list[Callable[..., Awaitable[Answer]]]:
        """What the page may call, each as `name(given, request)`."""
        return [self._guarded(name) for name in NAMES]

    def _guarded(self, name: str) -> Callable[..., Awaitable[Answer]]:
        work = getattr(self, f"_{name}")

        async def call(given: Given, request: gr.Request) -> Answer:
            owner = self._house.owner_of(request)  # Gradio hands over Starlette's own request here
            if owner is None:
                return {
                    "error": "You are not signed in any more.",
                    "fix": "Sign in again.",
                    "signed_out": True,
                }
            try:
                return await work(owner, given or {}) or {}
            except WorkflowInvalid as error:
                return {"error": str(error), "fix": "Mend what is marked, or ask for it in the chat."}
            except InputError as error:
                return {"error": error.message, "fix": error.fix, "field": error.field}
            except ParlanceError as error:
                return {"error": error.message, "fix": error.fix}
            except Exception:
                logger.exception("The page asked for %s and it failed", name)
                return {"error": "Something went wrong.", "fix": "Try again; the log tells more."}

        call.__name__ = name
        return call

    # --- the conversation ---

    async def _send(self, owner: str, given: Given) -> Answer:
        """Post a message; a new conversation is made for the first one."""
        conversation = given.get("conversation") or (await self._service.create(owner)).id
        message = await self._service.post(
            owner, conversation, str(given.get("text") or ""), external_id=given.get("external_id")
        )
        return {"conversation": conversation, "message": message}

    async def _stop(self, owner: str, given: Given) -> None:
        await self._service.stop(owner, _id(given, "conversation"))

    async def _edit(self, owner: str, given: Given) -> None:
        await self._service.edit(
            owner, _id(given, "conversation"), _id(given, "message"), str(given.get("text") or "")
        )

    async def _retry(self, owner: str, given: Given) -> None:
        await self._service.regenerate(owner, _id(given, "conversation"), _id(given, "message"))

    async def _rename(self, owner: str, given: Given) -> None:
        await self._service.rename(owner, _id(given, "conversation"), str(given.get("title") or ""))

    async def _delete(self, owner: str, given: Given) -> None:
        await self._service.delete(owner, _id(given, "conversation"))

    # --- the editor and the versions ---

    async def _check(self, owner: str, given: Given) -> Answer:
        return problems_view(await self._service.check(str(given.get("yaml") or "")))

    async def _patch(self, owner: str, given: Given) -> Answer:
        """The text with every certain mend applied."""
        from engine.check import apply_patches, check

        text = str(given.get("yaml") or "")
        checked = await asyncio.to_thread(check, text, self._house.tools)
        return {"yaml": apply_patches(text, checked.problems)}

    async def _save(self, owner: str, given: Given) -> Answer:
        conversation = given.get("conversation") or (await self._service.create(owner)).id
        summary = str(given.get("summary") or "").strip() or "Edited by hand"
        saved = await self._service.save_yaml(owner, conversation, str(given.get("yaml") or ""), summary)
        return {"conversation": conversation, "workflow": saved.name, "version": saved.version}

    async def _restore(self, owner: str, given: Given) -> Answer:
        saved = await self._service.restore(owner, _id(given, "conversation"), int(given.get("version") or 0))
        return {"version": saved.version}

    # --- runs ---

    async def _run(self, owner: str, given: Given) -> Answer:
        run = await self._service.start_run(
            owner, _id(given, "conversation"), dict(given.get("inputs") or {})
        )
        return {"run": run}

    async def _cancel(self, owner: str, given: Given) -> None:
        await self._service.cancel_run(owner, _id(given, "run"))

    async def _answer(self, owner: str, given: Given) -> Answer | None:
        """What a run asks is answered; who comes second is told who was first."""
        run, node, iteration = _id(given, "run"), _id(given, "node"), given.get("iteration")
        try:
            await self._service.answer_run(owner, run, node, given.get("value"), iteration=iteration)
        except Conflict:
            found = await self._service.engine.store.waits(root_id=run, answered=None)
            first = next(
                (w for w in found if w.answered_at and (w.path, w.iteration) == (node, iteration)), None
            )
            if first is None:
                raise
            return answered_before(question_view(first))
        return None

    async def _estimate(self, owner: str, given: Given) -> Answer:
        """What a run of the conversation's workflow takes; inputs that do not fit are left out."""
        conversation, inputs = _id(given, "conversation"), dict(given.get("inputs") or {})
        try:
            found = await self._service.estimate(owner, conversation, None, inputs)
        except InputError:
            found = await self._service.estimate(owner, conversation, None, {})
        return {"estimate": estimate_view(found)}

    # --- models ---

    async def _models(self, owner: str, given: Given) -> Answer:
        """What can be picked, and what answers now."""
        return await self._house.model_choices()

    async def _choose(self, owner: str, given: Given) -> None:
        self._house.choose_model(_text(given, "model"), _text(given, "address"), _text(given, "key"))

    async def _set_key(self, owner: str, given: Given) -> None:
        self._house.set_key(str(given.get("provider") or ""), _text(given, "key"))

    async def _try_model(self, owner: str, given: Given) -> Answer:
        return await self._house.try_model(_text(given, "model"))


def _text(given: Given, name: str) -> str | None:
    """What was typed, None for nothing."""
    return str(given.get(name) or "").strip() or None


def _id(given: Given, name: str) -> str:
    value = given.get(name)
    if not isinstance(value, str) or not value:
        raise NotFound(f"This page does not know which {name} is meant.", "Load the page again.")
    return value
