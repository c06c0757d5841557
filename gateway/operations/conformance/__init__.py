"""Conformance statements as sections and tables, and what shows them: Markdown, HTML, plain data."""
