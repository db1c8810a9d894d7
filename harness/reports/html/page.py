"""One self-contained `index.html`: styles, script, scores and completions in a single file that works from disk.

Completions are untrusted text. The script only ever sets text, the Content-Security-Policy forbids any other script
and any request, and embedded data are escaped or base64. The summary and the script come before the completions, so
that the leaderboard is shown before the bulk of the file is read.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from importlib import resources
from string import Template

from harness.analysis.leaderboard import Leaderboard
from harness.config import ReportConfig
from harness.reports.folders import PAGE, report_folder
from harness.reports.html.blocks import blocks
from harness.reports.html.summary import plain, summary
from harness.store.files import write_atomic

SCRIPTS = ("dom", "data", "state", "table", "scores", "evidence", "curves", "browse", "cards", "main")
"""The script files, concatenated in this order."""
_ESCAPES = {ord(c): f"\\u{ord(c):04x}" for c in "<>&"}
"""`</script>` and `<!--` would end or change a data block, so JSON is written without their characters."""


class PageSink:
    """Writes `<dir>/<task>/<name>/index.html`."""

    def __init__(self, config: ReportConfig) -> None:
        self.config = config

    def write(self, leaderboard: Leaderboard) -> Sequence[str]:
        """Write the page and return its path."""
        path = report_folder(self.config, leaderboard) / PAGE
        write_atomic(path, page(leaderboard, self.config))
        return [str(path)]


def page(board: Leaderboard, config: ReportConfig) -> str:
    """Return the page of a leaderboard."""
    style = _asset("page.css")
    script = '"use strict";\n(() => {\n' + "\n".join(_asset(f"{name}.js") for name in SCRIPTS) + "})();\n"
    return Template(_asset("page.html")).substitute(
        policy=f"default-src 'none'; script-src {_digest(script)}; style-src {_digest(style)}; img-src data:; "
        "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
        title=_html(str(plain(f"{board.label}: {config.name}"))),
        style=style,
        script=script,
        summary=embedded(summary(board, config)),
        blocks="\n".join(
            f'<script type="application/octet-stream" id="{name}">{base64.b64encode(data).decode()}</script>'
            for name, data in blocks(board, config)
        ),
    )


def embedded(value: object) -> str:
    """Return JSON in ASCII that any HTML parser reads as plain text."""
    return json.dumps(value, allow_nan=False, separators=(",", ":")).translate(_ESCAPES)


def _asset(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _digest(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


def _html(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")
