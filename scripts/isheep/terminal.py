"""Showing untrusted text on a terminal: what a model wrote may hold the codes that move a cursor or set a title."""

import unicodedata

KEPT = "\n\t"
HIDDEN = {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}
"""Categories of characters that do something instead of being seen: controls, which begin escape sequences; formats,
which reverse the direction of writing; private and lone surrogate ones; separators of lines and paragraphs."""


def printable(text: str) -> str:
    """Return the text with each character that is not seen, but for line breaks and tabs, as its escape in Python."""
    return "".join(
        ascii(character)[1:-1] if character not in KEPT and unicodedata.category(character) in HIDDEN else character
        for character in text
    )


def indented(text: str, width: int = 4) -> str:
    """Return the printable text with `width` spaces before each line, so that no line of it passes for another's."""
    return "\n".join(" " * width + line for line in printable(text).split("\n"))
