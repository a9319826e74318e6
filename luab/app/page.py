"""The page of `luab app`, made with Gradio. What it shows is made in `cards`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # before the import: nobody is told of the page
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

import gradio as gr

from luab.app.cards import STYLE, note
from luab.app.session import EMPTY, Handlers, Session
from luab_data.images.headers import MAX_BYTES
from luab_data.images.pillow import SUFFIXES
from luab_eval.models import Classifier

HOURS = 3600  # s
SESSIONS = 100  # whose answers are kept
ONE_AT_A_TIME = "models"

TITLE = "LUAB: where do classifiers look?"
INTRODUCTION = (
    "Give an image, and see what each model says and where it looks. Then click on the object, as an "
    "annotator would. The page shows what the attention loss asks of each model for it, and its value."
)
SYSTEM_FONTS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")
SYSTEM_FONTS_OF_CODE = ("ui-monospace", "SFMono-Regular", "Menlo", "monospace")
FORMS = [("hinge: stay near the click", "hinge"), ("kl: match a density", "kl")]


def build(classifiers: Sequence[Classifier]) -> gr.Blocks:
    """The page for these models."""
    on = Handlers(classifiers)

    def clicked(session: Session | None, form: str, event: gr.SelectData) -> Any:
        return on.clicked(session, event.index, form)

    def sampled(number: int, form: str) -> Any:
        return None, *on.sampled(number, form)  # None: the file that was given before is not shown any more

    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(HOURS, HOURS)) as page:
        session = gr.State(None, time_to_live=HOURS)
        number = gr.State(0, time_to_live=HOURS)
        gr.HTML(f"<h1>{TITLE}</h1><p>{INTRODUCTION}</p>", padding=False)
        with gr.Row(equal_height=False):
            with gr.Column(scale=2, min_width=300):
                # As bytes: the file is opened by our own reader, and never by Gradio.
                file = gr.File(label="Image", file_types=list(SUFFIXES), type="binary", height=130)
                another = gr.Button("Take a generated image", size="sm")
                picture = gr.Image(
                    label="Click on the object",
                    type="pil",
                    interactive=False,
                    buttons=[],
                    format="png",
                    elem_id="luab-picture",
                )
                form = gr.Radio(FORMS, value="hinge", label="Attention loss")
            with gr.Column(scale=3, min_width=300):
                answers = gr.HTML(note(EMPTY), padding=False)
        shown = [session, picture, answers]
        common: dict[str, Any] = {
            "concurrency_id": ONE_AT_A_TIME,
            "concurrency_limit": 1,
            "api_visibility": "private",
        }
        file.upload(on.opened, [file, form], shown, **common)
        file.clear(on.closed, None, shown, **common)
        another.click(sampled, [number, form], [file, number, *shown], **common)
        picture.select(clicked, [session, form], shown, show_progress="hidden", **common)
        form.change(on.changed, [session, form], shown, show_progress="hidden", **common)
    return page


def launch(page: gr.Blocks, host: str, port: int | None, browser: bool = False) -> None:
    """Serve the page until Ctrl-C. Files of this machine are not served, and nothing is shared.

    Args:
        page: Of `build`.
        host: Which addresses it listens on.
        port: None: the first free one from 7860 on.
        browser: Open it in one.
    """
    queue = page.queue(max_size=SESSIONS)
    _, url, _ = queue.launch(server_name=host, server_port=port, inbrowser=browser, **closed())
    print(f"{url} shows the page; Ctrl-C ends it", flush=True)
    queue.block_thread()


def closed() -> dict[str, Any]:
    """How the page is launched: the look, and all that would open this machine is off."""
    theme = gr.themes.Default(font=SYSTEM_FONTS, font_mono=SYSTEM_FONTS_OF_CODE)  # no fonts from elsewhere
    return {
        "share": False,
        "quiet": True,  # else it advises to share
        "prevent_thread_lock": True,
        "allowed_paths": [],
        "max_file_size": MAX_BYTES,
        "state_session_capacity": SESSIONS,
        "enable_monitoring": False,
        "mcp_server": False,
        "ssr_mode": False,
        "pwa": False,
        "footer_links": [],
        "theme": theme,
        "css": STYLE,
    }
