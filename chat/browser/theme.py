"""The look that Gradio's own components take: system fonts, one accent, light and dark from one table."""

from __future__ import annotations

from gradio.themes import Base

SANS = (
    "Inter",
    "-apple-system",
    "BlinkMacSystemFont",
    "Segoe UI Variable Text",
    "Segoe UI",
    "Roboto",
    "Cantarell",
    "Ubuntu",
    "Noto Sans",
    "Helvetica Neue",
    "sans-serif",
)
MONO = ("ui-monospace", "SF Mono", "Cascadia Code", "Menlo", "Consolas", "DejaVu Sans Mono", "monospace")

# One variable of the style sheet for each of Gradio's: what is said there holds in both modes.
SAME = {
    "body_text_color_subdued": "--pl-muted",
    "background_fill_primary": "--pl-surface",
    "background_fill_secondary": "--pl-sunken",
    "border_color_primary": "--pl-line",
    "border_color_accent": "--pl-accent",
    "color_accent_soft": "--pl-accent-soft",
    "link_text_color": "--pl-accent",
    "block_background_fill": "--pl-surface",
    "block_border_color": "--pl-line",
    "block_label_text_color": "--pl-muted",
    "block_title_text_color": "--pl-text",
    "block_info_text_color": "--pl-muted",
    "input_background_fill": "--pl-field",
    "input_background_fill_focus": "--pl-surface",
    "input_border_color": "--pl-line",
    "input_border_color_focus": "--pl-accent",
    "input_placeholder_color": "--pl-faint",
    "button_primary_background_fill": "--pl-accent",
    "button_primary_background_fill_hover": "--pl-accent-strong",
    "button_primary_text_color": "--pl-on-accent",
    "button_secondary_background_fill": "--pl-surface",
    "button_secondary_background_fill_hover": "--pl-sunken",
    "button_secondary_border_color": "--pl-line",
    "button_secondary_text_color": "--pl-text",
    "checkbox_background_color": "--pl-field",
    "checkbox_background_color_selected": "--pl-accent",
    "checkbox_border_color": "--pl-line-strong",
    "checkbox_border_color_selected": "--pl-accent",
    "checkbox_label_background_fill": "--pl-surface",
    "code_background_fill": "--pl-sunken",
}

# Shown before the style sheet is there, so as values: the same as --pl-ground and --pl-text.
FIRST_PAINT = {
    "body_background_fill": "#f5f6f9",
    "body_background_fill_dark": "#0e1117",
    "body_text_color": "#1b2130",
    "body_text_color_dark": "#e7eaf1",
}


def theme() -> Base:
    """The theme; every colour is a variable of our style sheet."""
    made = Base(font=SANS, font_mono=MONO, radius_size="md", spacing_size="md", text_size="md")
    colours = {name: f"var({variable})" for name, variable in SAME.items()}
    dark = {f"{name}_dark": value for name, value in colours.items()}
    made.set(
        **colours,
        **{name: value for name, value in dark.items() if hasattr(made, name)},
        **FIRST_PAINT,
        block_border_width="0px",
        block_shadow="none",
        block_padding="0px",
        block_radius="10px",
        container_radius="10px",
        input_radius="9px",
        input_shadow="none",
        input_shadow_focus="0 0 0 3px var(--pl-accent-soft)",
        input_border_width="1px",
        button_large_radius="9px",
        button_small_radius="8px",
        button_transition="background-color .12s, border-color .12s",
        button_primary_shadow="none",
        button_secondary_shadow="none",
        layout_gap="0px",
        form_gap_width="0px",
        section_header_text_size="13px",
        block_label_text_size="13px",
        block_title_text_weight="500",
    )
    return made
