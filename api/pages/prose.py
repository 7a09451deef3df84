"""Markdown as safe HTML, one level of headings below the page's own title."""

import nh3
from markdown_it import MarkdownIt
from markupsafe import Markup

_MARKDOWN = MarkdownIt("commonmark", {"html": False})
_TAGS = {
    "h2",
    "h3",
    "h4",
    "p",
    "ul",
    "ol",
    "li",
    "em",
    "strong",
    "code",
    "pre",
    "blockquote",
    "a",
    "br",
    "hr",
}
_DEEPEST = 4


def prose(text: str) -> Markup:
    """Return `text` as HTML; a first heading of the first level is left out, since the page says it already."""
    tokens = _MARKDOWN.parse(text)
    if len(tokens) > 2 and tokens[0].type == "heading_open" and tokens[0].tag == "h1":  # noqa: PLR2004 - open, inline, close
        tokens = tokens[3:]
    for token in tokens:
        if token.type in {"heading_open", "heading_close"}:
            token.tag = f"h{min(max(int(token.tag[1]), 2), _DEEPEST)}"
    html = _MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {})
    # Cleaned although raw HTML is off: two locks, since these words may come from anybody.
    return Markup(nh3.clean(html, tags=_TAGS, attributes={"a": {"href"}}, url_schemes={"https", "mailto"}))  # noqa: S704 - cleaned just here
