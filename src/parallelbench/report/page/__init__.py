"""The web page: one HTML file of the page's own style and script and one block of data, fetching nothing."""

import base64
import hashlib
import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from parallelbench.report.finite import finite

SCRIPTS = ("data.js", "charts.js", "sections.js", "traces.js", "page.js")
# What a script element could be ended or confused by; U+2028 and U+2029 end lines in older JavaScript.
ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<noscript>This page draws its figures with its own script; please allow it.</noscript>
<script type="application/json" id="data">{data}</script>
<script>{script}</script>
</body>
</html>
"""


def page(data: Mapping[str, Any]) -> str:
    """The whole page; its policy lets run and style nothing but what is in it, and lets fetch nothing.

    Args:
        data: What `contents.contents` gives; numbers that JSON lacks become null.
    """
    style, script = _read("page.css"), "".join(map(_read, SCRIPTS))
    policy = (
        f"default-src 'none'; script-src '{_fingerprint(script)}'; style-src '{_fingerprint(style)}'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )
    title = escape(str(data["title"]))
    return _PAGE.format(policy=policy, title=title, style=style, script=script, data=as_json(data))


def as_json(value: Any) -> str:
    """JSON that no HTML parser takes for anything else: `<`, `>`, `&` and the line separators are escaped."""
    text = json.dumps(finite(value), separators=(",", ":"), allow_nan=False)
    return "".join(ESCAPES.get(c, c) for c in text) if any(c in text for c in ESCAPES) else text


def escape(text: str) -> str:
    """Text for the title element."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _read(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _fingerprint(text: str) -> str:
    """The hash by which the policy knows the page's own script and style."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
