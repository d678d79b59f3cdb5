"""The check of the pages: what a page shows as a command's output is what the command prints."""
