"""Self-contained HTML pages. A layer of its own, so that only a function that writes a page pays for the templates."""
