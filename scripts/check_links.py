"""Check that what the built pages link to is there: files, and places on pages.

Usage: python scripts/check_links.py docs/_build/html
"""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """Links and places of one page."""

    def __init__(self, text):
        super().__init__()
        self.links, self.places = set(), {"", "top"}
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        """Note where a tag leads and what it is called."""
        for name, value in attributes:
            if name in ("href", "src") and value:
                self.links.add(value)
            if name in ("id", "name") and value:
                self.places.add(value)


def broken_links(root):
    """Return pairs of page and link, and the number of links tried."""
    files = [path for path in root.rglob("*.html") if "_static" not in path.parts]
    pages = {path: Page(path.read_text("utf-8")) for path in files}
    broken, n_links = [], 0
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or link.startswith("#/"):
                continue
            n_links += 1
            target = path
            if parts.path:
                target = (path.parent / unquote(parts.path)).resolve()
            if target.is_dir():
                target /= "index.html"
            known = pages.get(target)
            is_there = target.exists() and (
                known is None or unquote(parts.fragment) in known.places
            )
            if not is_there:
                broken.append((path.relative_to(root), link))
    return broken, n_links


if __name__ == "__main__":
    broken, n_links = broken_links(Path(sys.argv[1]).resolve())
    for page, link in sorted(broken):
        print(f"{page}: {link}")
    print(f"{n_links} links within the pages, {len(broken)} broken")
    sys.exit(bool(broken))
