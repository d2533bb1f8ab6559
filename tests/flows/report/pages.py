"""A page taken apart: its tags, and whether it can do any harm."""

from __future__ import annotations

import re
from html.parser import HTMLParser


class Page(HTMLParser):
    """Collects the tags and attributes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep every opening tag."""
        self.tags.append((tag, dict(attrs)))


def parse(html: str) -> Page:
    """Return the parsed page."""
    page = Page()
    page.feed(html)
    return page


def assert_harmless(html: str) -> None:
    """Assert that a page can neither run nor load anything."""
    for tag, attributes in parse(html).tags:
        assert tag not in {"script", "iframe", "object", "embed", "link", "base", "form"}
        for name, value in attributes.items():
            assert not name.startswith("on")
            assert name not in {"style", "srcset", "action", "xlink:href"}
            if name == "href":
                assert value == "data_docs/index.html" or str(value).startswith("#")
            if name == "src":
                assert re.fullmatch(r"data:image/(png|jpeg);base64,[A-Za-z0-9+/=]+", str(value))
