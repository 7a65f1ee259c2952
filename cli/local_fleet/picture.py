"""A terminal to record on, and the picture (SVG) of what was said on it."""

from io import StringIO

from rich.console import Console
from rich.terminal_theme import TerminalTheme

WIDTH = 104

_THEME = TerminalTheme(
    background=(22, 27, 34),
    foreground=(214, 222, 230),
    normal=[
        (22, 27, 34),
        (255, 123, 114),
        (86, 211, 100),
        (240, 190, 90),
        (108, 165, 255),
        (210, 150, 255),
        (86, 212, 221),
        (214, 222, 230),
    ],
    bright=[
        (72, 79, 88),
        (255, 161, 152),
        (126, 231, 135),
        (247, 215, 140),
        (150, 195, 255),
        (226, 184, 255),
        (130, 230, 236),
        (255, 255, 255),
    ],
)

# Rich's own form loads a font from the network; a picture in a README may not, and should not.
_FORM = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{
  font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", "Liberation Mono", monospace;
  font-size: {char_height}px; line-height: {line_height}px; white-space: pre;
}}
.{unique_id}-title {{ font: 500 17px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/>
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def recording_console() -> Console:
    """Make a terminal that nobody sees, always of the same width and colours."""
    return Console(
        record=True,
        file=StringIO(),
        width=WIDTH,
        force_terminal=True,
        color_system="truecolor",
        highlight=False,
        markup=False,
        emoji=False,
    )


def svg(console: Console, title: str) -> str:
    """Draw what was said on a recording console."""
    return console.export_svg(title=title, theme=_THEME, code_format=_FORM, unique_id="demo")
