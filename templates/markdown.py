"""Plain text in a Markdown page, whatever it holds."""

import re

MARKS = "&<>*_`[]#|~!{}"
"""What Markdown, HTML or a template reads as more than itself."""
LEADING = re.compile(r"^(\d*)([-+=.):])")
"""What makes a list or a heading at the beginning of a line."""


def escaped(line: str) -> str:
    """One line of plain text as Markdown that is shown as it is.

    Marks become numeric references, which every renderer knows; a backslash before a bracket would
    begin a formula.
    """
    text = "".join(_reference(char) if char in MARKS else char for char in line)
    return LEADING.sub(lambda found: found[1] + _reference(found[2]), text)


def _reference(char: str) -> str:
    return f"&#{ord(char)};"
