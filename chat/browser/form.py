"""The form of a run: Gradio's own fields, made from the workflow's inputs whenever there is a new version."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gradio as gr
from anyio.from_thread import run as run_in_loop
from gradio.context import LocalContext

from chat.browser.markdown import as_words
from chat.browser.words import as_json
from engine.errors import InputError, ParlanceError
from engine.workflow import MISSING

if TYPE_CHECKING:
    from chat.browser.house import House
    from engine.workflow import Field, Workflow

NUMBERS = {"int": "a whole number", "float": "a number"}
FILES = ("file",)
AS_JSON = ("list", "dict", "object", "any")


@dataclass(frozen=True, slots=True)
class _Form:
    """What is to be filled in for a version of a workflow, and with what it starts: the last run's inputs, else the
    defaults.
    """

    conversation: str
    version: str
    fields: tuple[Field, ...]
    last: Mapping[str, Any]
    example: Mapping[str, Any]
    typed: Mapping[str, Any]


def run_form(house: House, key: gr.Textbox) -> None:
    """Render the form anew when `key` changes: {"conversation": id, "version": n} as JSON, or nothing. What is to
    stand in the new form, as a person typed it into the one before, comes as `typed`, by the inputs' names.
    """

    @gr.render(inputs=[key], triggers=[key.change], show_progress="hidden")
    def fill(text: str | None) -> None:
        owner = house.owner_of(LocalContext.request.get())
        wanted = json.loads(text or "{}")
        if owner and wanted.get("conversation"):
            typed = wanted.get("typed") or {}
            form = run_in_loop(_read, house, owner, str(wanted["conversation"]), typed)
            if form:
                _build(house, form)


async def _read(house: House, owner: str, conversation_id: str, typed: Mapping[str, Any]) -> _Form | None:
    """What the conversation's workflow asks for; None where it has none or one that cannot run."""
    from engine.check import check

    try:
        current = await house.service.current_workflow(owner, conversation_id)
        found = await house.service.get(owner, conversation_id, limit=50)
    except ParlanceError:
        return None
    workflow = check(current.yaml, house.tools).workflow if current else None
    if current is None or workflow is None:
        return None
    parts = [part for message in found.messages for part in message.parts]
    runs = [p for p in parts if p["kind"] == "run_started" and set(p["inputs"]) <= set(workflow.inputs)]
    example = house.gallery.of(current.name)
    return _Form(
        conversation_id,
        f"{current.name}-{current.version}",
        tuple(workflow.fields[name] for name in workflow.inputs),
        runs[-1]["inputs"] if runs else {},
        _fitting(workflow, example.inputs if example else {}),
        typed,
    )


def _fitting(workflow: Workflow, example: Mapping[str, Any]) -> Mapping[str, Any]:
    """The example's inputs, if this version still asks for all of them."""
    return example if example and set(example) <= set(workflow.inputs) else {}


def _build(house: House, form: _Form) -> None:
    with gr.Column(elem_id="pl-form"):
        parts = [_component(form, field) for field in form.fields]
        if not parts:
            gr.Markdown("This workflow asks for nothing. Just run it.", elem_classes="pl-form-note")
        budget = gr.Textbox(visible=False)  # its field is in the estimate below; the script puts it in
        trouble = gr.Markdown(visible=False, elem_id="pl-form-trouble")
        with gr.Row(elem_id="pl-form-acts"):
            start = gr.Button(
                "Run workflow", variant="primary", elem_id="pl-run", elem_classes=f"pl-of-{form.version}"
            )
            save = gr.Button("Save and run", variant="primary", elem_id="pl-save-run")
            if form.example:
                fill = gr.Button("Fill in an example", variant="secondary", elem_id="pl-example")
                examples = [_shown(field, form.example.get(field.name)) for field in form.fields]
                fill.click(
                    lambda: examples if len(examples) > 1 else examples[0],
                    outputs=parts,
                    api_visibility="private",
                    show_progress="hidden",
                )

    async def run(request: gr.Request, *values: Any) -> Any:
        owner = house.owner_of(request)
        try:
            if owner is None:
                raise InputError("You are not signed in any more.", "Load the page again and sign in.")
            inputs = _inputs(form.fields, values[:-1])
            limit = limit_of(values[-1])
            await house.service.start_run(owner, form.conversation, inputs, limit_usd=limit)
        except ParlanceError as error:
            return gr.Markdown(as_words(str(error)), visible=True)
        return gr.Markdown("", visible=False)

    save.click(fn=None, js="() => parlance.saveAndRun()", api_visibility="private")
    start.click(
        run,
        inputs=[*parts, budget],
        outputs=[trouble],
        js="(...values) => [...values.slice(0, -1), parlance.budget()]",
        api_visibility="private",
        show_progress="hidden",
        concurrency_limit=None,
        trigger_mode="once",
    )


def _component(form: _Form, field: Field) -> Any:
    """The Gradio field for one input."""
    last = form.last.get(field.name, MISSING)
    start = last if last is not MISSING else None if field.default is MISSING else field.default
    value = form.typed.get(field.name, _shown(field, start))
    label = field.name.replace("_", " ") + ("" if field.required else " (optional)")
    about: dict[str, Any] = {"label": label, "info": field.description or None, "value": value}
    about |= {"elem_id": f"pl-input-{field.name}", "interactive": True}
    about |= {"key": f"{form.conversation}-{field.name}-{field.type}"}
    name = field.type.name
    if field.enum:
        choices = [*field.enum] if field.required else ["", *field.enum]
        nothing = None if field.required else ""
        chosen = next((choice for choice in choices if str(choice) == str(value)), nothing)
        return gr.Dropdown(choices=choices, **{**about, "value": chosen})
    if name == "bool":
        return gr.Checkbox(**{**about, "value": value is True})
    if name in NUMBERS:  # as text: a number field rounds, shows 0 for nothing, and turns with the wheel
        return gr.Textbox(max_lines=1, placeholder=NUMBERS[name], elem_classes=f"pl-number {name}", **about)
    if (
        name in FILES
    ):  # the script puts a button in its place, which sends a file up and writes its reference here
        return gr.Textbox(lines=1, max_lines=1, elem_classes="pl-file-input", **about)
    if name in AS_JSON:
        return gr.Textbox(lines=3, max_lines=14, placeholder="[]" if name == "list" else "{}", **about)
    plain = {"placeholder": "", **about}  # said, for a field of another kind may have stood there before
    return gr.Textbox(lines=3 if field.required else 1, max_lines=14, **plain)


def _shown(field: Field, value: Any) -> Any:
    """A value as its component takes it."""
    if field.type.name in (*AS_JSON, *FILES) and not field.enum:
        return "" if value is None else as_json(value)
    if field.type.name == "bool":
        return bool(value)
    if field.type.name in NUMBERS and not field.enum:
        return "" if value is None else str(value)
    return "" if value is None else value


def limit_of(text: str | None) -> float | None:
    """A budget in US dollars as it was typed, None for none. InputError for what is no sum above zero."""
    said = (text or "").strip().lstrip("$").replace(",", ".").strip()
    if not said:
        return None
    try:
        limit = float(said)
    except ValueError:
        limit = math.nan
    if not 0 < limit < math.inf:
        raise InputError(
            f"“{text}” is no budget.", "Give it in US dollars, as 0.50, or leave it empty.", "budget"
        )
    return limit


def _inputs(fields: Sequence[Field], values: Sequence[Any]) -> dict[str, Any]:
    """What was filled in. An empty field is left out, so that its default holds; InputError if it is required."""
    given: dict[str, Any] = {}
    for field, value in zip(fields, values, strict=True):
        empty = value is None or (isinstance(value, str) and not value.strip())
        if not empty:
            given[field.name] = value
        elif field.required:
            raise InputError(f"“{field.name}” is empty.", "Fill it in; the run needs it.", field.name)
        elif field.type.name == "str" and field.default not in (MISSING, None, ""):
            given[field.name] = ""
    return given
