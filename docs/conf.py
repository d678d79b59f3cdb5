"""How Sphinx makes the site: `make docs`."""

from __future__ import annotations

import sys
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.domains.python import PyObject

sys.path.insert(0, str(Path(__file__).parent))  # the extension that is beside this file

project = "Seedbed"
author = "The Seedbed authors"
version = release = version_of("seedbed")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "mathml"]
exclude_patterns = ["checking", "**/__pycache__"]
root_doc = "index"

html_theme = "furo"
html_title = f"Seedbed {version}"
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
html_math_renderer = "mathml"
html_theme_options = {  # lines of 88 characters fit beside the sidebar
    "light_css_variables": {"code-font-size": "var(--font-size--small--2)"},
}
html_static_path = ["static"]
html_css_files = ["site.css"]

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

default_role = "py:obj"  # docstrings name functions in single quotes
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # attributes as a list: each is described once, in the docstring of its class
napoleon_attr_annotations = False  # their types are in the signature
for field in PyObject.doc_field_types:
    if field.name == "variable":
        field.label = "Attributes"
python_maximum_signature_line_length = 78
python_use_unqualified_type_names = True


def _linked(_app: Sphinx, _what: str, _name: str, _object: Any, _options: Any, lines: list[str]) -> None:
    """Docstrings name a page as the repository has it."""
    lines[:] = [line.replace("docs/simulation.md", ":doc:`simulation </simulation>`") for line in lines]


def setup(app: Sphinx) -> None:
    """Make links in docstrings."""
    app.connect("autodoc-process-docstring", _linked)
