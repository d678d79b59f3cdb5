"""Reports: what is known of studies as one document, and that document as a page, as Markdown and as LaTeX."""
