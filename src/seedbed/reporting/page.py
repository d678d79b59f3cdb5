"""A report as one page: everything in it, so that it needs no network and no other file."""

from __future__ import annotations

import contextlib
import functools
import json
import os
from collections.abc import Mapping
from importlib import metadata, resources
from pathlib import Path
from typing import Any

from seedbed import caches
from seedbed.charts import catalogue, saving
from seedbed.charts.data import Figure
from seedbed.reporting.document import Document

CHART_WIDTH = 620  # pixels of what is drawn, before the page makes it as wide as its column
MOST_ROWS = 400  # of the table behind a chart; the file of its data has all


def render(document: Document) -> str:
    """The page."""
    return framed(document.title, body(document))


def framed(title: str, content: str, *, live: Mapping[str, Any] | None = None) -> str:
    """A page of this content.

    Args:
        content: as of ``body``.
        live: what the page of a report needs that changes while it is looked at (``watching.watched``): ``told`` and
            ``trouble`` for its first lines, ``version`` of what it shows, and ``seconds`` after which it asks for
            another; None of a page that is a file.
    """
    template = _environment().get_template("page.html.j2")
    return str(
        template.render(
            title=title,
            body=content,
            live=live,
            watched=None if live is None else as_script({name: live[name] for name in ("version", "seconds")}),
            policy=policy(live=live is not None),
            library=library(),
            style=_file("page.css"),
            script=_file("page.js"),
        )
    )


def policy(*, live: bool) -> str:
    """What the browser lets a page do: to draw from what is in it; and a live one, to ask its own server.

    ``unsafe-eval`` is for Vega, which makes functions of the expressions in a chart's description.
    """
    allowed = {
        "default-src": "'none'",
        "script-src": "'unsafe-inline' 'unsafe-eval'",
        "style-src": "'unsafe-inline'",
        "img-src": "data: blob:",
        "connect-src": "'self'" if live else "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return "; ".join(f"{name} {sources}" for name, sources in allowed.items())


def body(document: Document) -> str:
    """What changes on a page while runs end: all between its head and its scripts."""
    template = _environment().get_template("body.html.j2")
    return str(template.render(document=document, specs=_specs(document), tables=_tables(document), most=MOST_ROWS))


def waiting(title: str) -> str:
    """The same of a page on which there is nothing to report yet."""
    return str(_environment().get_template("waiting.html.j2").render(title=title))


def _specs(document: Document) -> dict[str, str]:
    """The Vega-Lite description of every figure, as text for a script element."""
    return {
        f"{section.key}-{figure.name}-{place}": as_script(_spec(figure))
        for section in document.sections
        for place, figure in enumerate(section.figures)
    }


def _spec(figure: Figure) -> Mapping[str, Any]:
    spec: dict[str, Any] = catalogue.draw(figure, width=CHART_WIDTH, titled=False).to_dict(validate=False)
    spec.pop("$schema", None)  # an address, which nothing here asks for
    return spec


def _tables(document: Document) -> dict[str, str]:
    """The data behind every figure as comma-separated values, likewise."""
    return {
        f"{section.key}-{figure.name}-{place}": as_script(figure.table.csv())
        for section in document.sections
        for place, figure in enumerate(section.figures)
    }


def as_script(value: Any) -> str:
    """JSON that can stand in a script element: nothing in it ends that, or begins a comment."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def library() -> str:
    """What draws charts in a browser (Vega, Vega-Lite and vega-embed), as vl-convert carries it.

    To bundle it takes seconds, so that it is kept: in the user's folder of caches, by the version of vl-convert.
    """
    import vl_convert

    kept = caches.folder() / f"vega-{metadata.version('vl-convert-python')}-{saving.version()}.js"
    try:
        return kept.read_text(encoding="utf-8")
    except OSError:
        pass
    bundled: str = vl_convert.javascript_bundle(vl_version=saving.version())  # type: ignore[call-arg]
    bundled = bundled.replace("</script", "<\\/script")  # within a script element that would end it
    _keep(kept, bundled)
    return bundled


def _keep(path: Path, text: str) -> None:
    """For the next time; where that cannot be written, it is made again."""
    writing = path.with_name(f".{path.name}.{os.getpid()}")
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        writing.write_text(text, encoding="utf-8")
        os.replace(writing, path)
        return
    with contextlib.suppress(OSError):
        writing.unlink()


@functools.cache
def _environment() -> Any:
    import jinja2

    made = jinja2.Environment(
        loader=jinja2.PackageLoader("seedbed.reporting", "templates"), autoescape=True, trim_blocks=True,
        lstrip_blocks=True, undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    made.filters["cell"] = _cell
    return made


def _cell(value: object) -> str:
    """A value of a table behind a chart."""
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _file(name: str) -> str:
    return (resources.files("seedbed.reporting") / "templates" / name).read_text(encoding="utf-8")
