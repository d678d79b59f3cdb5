"""Read Python training code, without running it, for what can make one seed give two results."""

from seedbed.auditing.lint.findings import RULES, Finding, Severity
from seedbed.auditing.lint.linting import lint_files, lint_source
from seedbed.auditing.lint.neighbours import neighbours

__all__ = ["RULES", "Finding", "Severity", "lint_files", "lint_source", "neighbours"]
