"""The page itself: which of Gradio's components stand where, and what they hand to the page's script.

The chat, the message box, the editor, the tabs and the form are Gradio's. The script keeps one WebSocket and puts
what comes over it into them by events that run in the browser alone; what a person does goes to the server
functions of `chat.browser.actions`. The rest are islands: `gr.HTML` with a template that never changes, into
which the script builds nodes from text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import gradio as gr

from chat.browser.actions import Actions
from chat.browser.form import run_form

if TYPE_CHECKING:
    from chat.browser.house import House

PLACEHOLDER = "Say what should happen …"
ISLAND = (
    "(window.parlanceIslands ||= []).push({name: '%s', element, trigger, server}); window.parlance?.adopt();"
)
BROWSER_ONLY: dict[str, Any] = {
    "fn": None,
    "queue": False,
    "show_progress": "hidden",
    "trigger_mode": "multiple",
    "api_visibility": "private",
}


def build(house: House) -> gr.Blocks:
    """The Blocks, ready to be mounted."""
    with gr.Blocks(title="Parlance", analytics_enabled=False, fill_width=True, fill_height=True) as page:
        bridge = _island("bridge", Actions(house).functions)
        with gr.Row(elem_id="pl-app"):
            with gr.Column(elem_id="pl-side", scale=0, min_width=0):
                _island("side")
            with gr.Column(elem_id="pl-chat", scale=1, min_width=0):
                _island("head")
                chat = _chat()
                box = _box()
                _island("foot")
            with gr.Column(elem_id="pl-work", scale=0, min_width=0):
                tabs, code, key = _work(house)
        _island("dialogs")
        _wire(bridge, chat, box, tabs, code, key)
    page.max_threads = 200
    page.state_session_capacity = 200
    page.queue(default_concurrency_limit=None)
    return page


def _island(name: str, functions: Sequence[Any] = ()) -> gr.HTML:
    """A place for the script to build in. Gradio wants the bridge's events to be named in its code."""
    events = "/* 'chat' 'composer' 'yaml' 'tab' 'form' */" if name == "bridge" else ""
    return gr.HTML(
        html_template=f'<div class="pl-island" data-island="{name}"></div>',
        js_on_load=events + ISLAND % name,
        apply_default_css=False,
        elem_id=f"pl-{name}-island",
        server_functions=list(functions) or None,
    )


def _chat() -> gr.Chatbot:
    return gr.Chatbot(
        elem_id="pl-messages",
        show_label=False,
        container=False,
        autoscroll=False,
        height=None,
        editable="user",
        buttons=["copy"],
        latex_delimiters=[],
        allow_tags=False,
        feedback_options=None,
        layout="bubble",
    )


def _box() -> gr.Textbox:
    return gr.Textbox(
        elem_id="pl-box",
        placeholder=PLACEHOLDER,
        show_label=False,
        label="Message",
        container=False,
        lines=1,
        max_lines=10,
        submit_btn=True,
        stop_btn=False,
        autofocus=True,
        interactive=True,
    )


def _work(house: House) -> tuple[gr.Tabs, gr.Code, gr.Textbox]:
    with gr.Tabs(elem_id="pl-tabs", selected="graph") as tabs:
        with gr.Tab("Graph", id="graph", elem_id="pl-tab-graph"):
            _island("graph")
        with gr.Tab("YAML", id="yaml", elem_id="pl-tab-yaml"):
            _island("yaml")
            code = gr.Code(
                language="yaml",
                elem_id="pl-code",
                show_label=False,
                label="Workflow as YAML",
                container=False,
                interactive=True,
                wrap_lines=True,
                buttons=[],
            )
            _island("problems")
        with gr.Tab("Run", id="run", elem_id="pl-tab-run"):
            key = gr.Textbox(visible=False)
            run_form(house, key)
            _island("run")
        with gr.Tab("Versions", id="versions", elem_id="pl-tab-versions"):
            _island("versions")
    return tabs, code, key


def _wire(
    bridge: gr.HTML, chat: gr.Chatbot, box: gr.Textbox, tabs: gr.Tabs, code: gr.Code, key: gr.Textbox
) -> None:
    """Events that run in the browser alone: values for the components, and what people do in them."""
    bridge.chat(**BROWSER_ONLY, outputs=[chat], js="() => [parlance.chatValue()]")
    bridge.composer(**BROWSER_ONLY, outputs=[box], js="() => [parlance.composerValue()]")
    bridge.yaml(**BROWSER_ONLY, outputs=[code], js="() => [parlance.yamlValue()]")
    bridge.tab(**BROWSER_ONLY, outputs=[tabs], js="() => [parlance.tabValue()]")
    bridge.form(**BROWSER_ONLY, outputs=[key], js="() => [parlance.formKey()]")
    box.stop(**BROWSER_ONLY, js="() => parlance.stop()")
    chat.retry(**BROWSER_ONLY, js="() => parlance.retry()")
    chat.edit(**BROWSER_ONLY, inputs=[chat], js="(value) => parlance.edited(value)")
    code.change(**BROWSER_ONLY, inputs=[code], js="(text) => parlance.typed(text)")
