"""Charts as files: PNG, SVG and PDF for papers, the description in Vega-Lite, or the data; without a network."""

from __future__ import annotations

import json
import math
import os
import re
import textwrap
from pathlib import Path
from typing import Any

from seedbed.charts import catalogue, style
from seedbed.charts.data import Figure
from seedbed.errors import InputError

FORMATS = (".png", ".svg", ".pdf", ".json", ".csv")
DOTS_PER_INCH = 300  # of a PNG
SMALLEST, LARGEST = 1.0, 40.0  # inches
TRIES = 6  # to meet a width
LEAST_INNER = 60  # pixels of what is drawn
_LENGTH = re.compile(r'\b(width|height)="([0-9.]+)"')  # of the whole picture, where they come first
_SCALE = 72 / style.POINTS_PER_INCH  # of pixels, for what counts in points of 1/72 inch
_CHARACTER = 6.0  # pixels that one takes in the title of an axis
_BESIDE = 140  # pixels that axes and labels take beside what is drawn, at first; then it is measured


def check_path(path: str | os.PathLike[str], formats: tuple[str, ...] = FORMATS) -> Path:
    """A path that can be written to.

    Raises:
        InputError: its ending is none of these, or nothing can be written there.
    """
    found = Path(path)
    if found.suffix.lower() not in formats:
        raise InputError(f"{found.name!r} does not say what to write: give an ending of {', '.join(formats)}")
    folder = found.parent
    if found.is_dir():
        raise InputError(f"{found} is a folder: name a file in it")
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}: make it, or choose another place for {found.name}")
    if not os.access(found if found.exists() else folder, os.W_OK):
        raise InputError(f"{found} cannot be written: no permission")
    return found


def save(figure: Figure, path: str | os.PathLike[str], *, width: float | None = None) -> None:
    """Write a figure to a file, in the form that its ending says.

    Args:
        width: of the whole picture, in inches; as on a screen where not given.

    Raises:
        InputError: the ending is unknown, the path cannot be written, or the width is none.
    """
    file = check_path(path)
    check_width(width)
    write(file, _contents(figure, file.suffix.lower(), width))


def check_width(width: float | None) -> None:
    """Raise an InputError where a width in inches is none that a picture can have."""
    if width is not None and not SMALLEST <= width <= LARGEST:
        raise InputError(f"width must be from {SMALLEST:g} to {LARGEST:g} inches, got {width!r}")


def svg(figure: Figure, pixels: float | None = None) -> str:
    """A figure as SVG; so many pixels wide, where that is given."""
    import vl_convert

    return str(vl_convert.vegalite_to_svg(sized(figure, pixels), vl_version=version()))


def _contents(figure: Figure, ending: str, width: float | None) -> bytes:
    if ending == ".csv":
        return figure.table.csv().encode()
    pixels = None if width is None else width * style.POINTS_PER_INCH
    if ending == ".json":
        return (json.dumps(sized(figure, pixels), indent=1) + "\n").encode()
    drawn = svg(figure, pixels)
    if ending == ".svg":
        return drawn.encode()
    import vl_convert

    if ending == ".pdf":
        return bytes(vl_convert.svg_to_pdf(_in_points(drawn)))
    return bytes(vl_convert.svg_to_png(drawn, scale=_SCALE, ppi=DOTS_PER_INCH))


def _in_points(drawn: str) -> str:
    """An SVG that is as large in points of 1/72 inch as it is in pixels: a PDF takes one for the other."""
    head, rest = drawn[:2000], drawn[2000:]
    return _LENGTH.sub(lambda found: f'{found[1]}="{float(found[2]) * _SCALE:g}"', head, count=2) + rest


def sized(figure: Figure, pixels: float | None) -> dict[str, Any]:
    """The Vega-Lite description of a figure; the whole picture so many pixels wide, labels included.

    A picture of a stated width is for a paper, whose captions are its titles: it has none, and the titles of its axes
    are broken into lines where they are longer than these.
    """
    if pixels is None:
        return _spec(figure, style.WIDTH, titled=True)
    inner = max(LEAST_INNER, round(pixels) - _BESIDE)
    tried: dict[int, float] = {}  # what stands beside depends little on the width, and not smoothly
    while inner not in tried and len(tried) < TRIES:
        tried[inner] = drawn_width(_spec(figure, inner, titled=False))
        inner = max(LEAST_INNER, round(inner + pixels - tried[inner]))
    fitting = [each for each, found in tried.items() if found <= pixels + 1]
    return _spec(figure, max(fitting, default=min(tried)), titled=False)


def drawn_width(spec: dict[str, Any]) -> float:
    """How wide a chart comes out, in pixels."""
    import vl_convert

    start = vl_convert.vegalite_to_svg(spec, vl_version=version())[:2000]
    width = start.partition('width="')[2].partition('"')[0]
    return float(width) if width else math.nan


def _spec(figure: Figure, width: int, *, titled: bool) -> dict[str, Any]:
    spec: dict[str, Any] = catalogue.draw(figure, width=width, titled=titled).to_dict()
    return spec if titled else _broken(spec, max(16, int(width / _CHARACTER)))


def _broken(spec: Any, longest: int) -> Any:
    """A description, the titles of whose axes have lines of so many characters."""
    if isinstance(spec, list):
        return [_broken(each, longest) for each in spec]
    if not isinstance(spec, dict):
        return spec
    found = {name: value if name == "datasets" else _broken(value, longest) for name, value in spec.items()}
    for channel in (each for each in (found.get("x"), found.get("y")) if isinstance(each, dict)):
        title = channel.get("title")
        if isinstance(title, str) and len(title) > longest:
            channel["title"] = textwrap.wrap(title, longest, break_long_words=False)
    return found


def version() -> str:
    """Vega-Lite's, for which charts are described."""
    import altair

    return ".".join(altair.SCHEMA_VERSION.removeprefix("v").split(".")[:2])


def write(file: Path, contents: bytes) -> None:
    """Write a file whole or not at all.

    Raises:
        InputError: it cannot be written.
    """
    writing = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        writing.write_bytes(contents)
        os.replace(writing, file)
    except OSError as error:
        writing.unlink(missing_ok=True)
        raise InputError(f"{file} cannot be written: {error.strerror or error}") from error
