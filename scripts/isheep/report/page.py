"""The report's page and the files that it loads: how data that nobody vouches for is written, so that none of it runs.

Texts of models are data to the page: they stand in JSON, and its script puts them in as texts, never as markup. The
page's policy lets nothing run but its own script, known by its checksum, and the files of data that this one asks for.
"""

import base64
import hashlib
import html
import json
import re
from collections.abc import Iterable
from pathlib import Path

from isheep.files.records import InputError, read_text

PAGE = "report/index.html"
"""Where the page lies in the folder of an experiment's results."""
PLACE = re.compile(r"\{\{(\w+)\}\}")
SCRIPT_ENDS = re.compile(r"<(?=[/!]|script)", re.IGNORECASE)
UNSAFE = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
"""Characters of JSON that could end a script, begin another one, or end a line of one."""


def as_json(content: object) -> str:
    """Return content as JSON that can stand in a page or a script, whatever texts it has."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return re.sub("|".join(UNSAFE), lambda match: UNSAFE[match[0]], text)


def page(title: str, content: object, parts: Iterable[Path]) -> str:
    """Return the page. parts: its markup with places such as `{{data}}`, its style and its script, by their suffixes.

    Raises InputError, naming the file, for a part that is missing, or that would end its own element.
    """
    texts = {path.suffix: (path, read_text(path)) for path in parts}
    if lacking := sorted({".html", ".css", ".js"} - texts.keys()):
        raise InputError(f"--page: no file ends in {lacking[0]}; give the page's markup, style and script.")
    (_, markup), (style_path, style), (script_path, script) = texts[".html"], texts[".css"], texts[".js"]
    for path, text in ((style_path, style), (script_path, script)):
        if SCRIPT_ENDS.search(text):
            raise InputError(f"{path}: it holds a mark that would end its element in the page; write `<` otherwise.")
    filled = {
        "policy": policy(style, script),
        "title": html.escape(title),
        "style": style,
        "script": script,
        "data": as_json(content),
    }
    return PLACE.sub(lambda place: filled[place[1]], markup)


def policy(style: str, script: str) -> str:
    """Return the content security policy of a page with this style and script, and no others.

    `strict-dynamic` lets this script, and nothing else, load the files of data. Images are figures that the page
    holds itself. No text can become markup or an address of a script by mistake: browsers that know trusted types
    refuse it.
    """
    rules = {
        "default-src": "'none'",
        "script-src": f"'{_checksum(script)}' 'strict-dynamic'",
        "style-src": f"'{_checksum(style)}'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "data-files",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())


def data_script(name: int | str, content: object) -> str:
    """Return the script that hands the page the content of a file of data: `items/<number>.js`, or `times.js`."""
    return f"receive({as_json(name)}, {as_json(content)});\n"


def _checksum(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
