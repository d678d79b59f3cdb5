"""Read a table of text cells from CSV, JSON lines, JSON or Parquet; every cell knows the line that it stands in."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from seedbed.errors import InputError

DELIMITERS = ",;\t"


@dataclass(frozen=True)
class Table:
    """A table as text.

    Attributes:
        path: as it was given.
        columns: names, all different.
        rows: the cells of each row, stripped; an absent one is empty.
        places: where each row stands: ``line 4``, or ``row 4`` where a file has no lines. The header is line 1.
    """

    path: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    places: tuple[str, ...]

    @property
    def name(self) -> str:
        """The file's name without its folder."""
        return Path(self.path).name

    def column(self, name: str) -> tuple[str, ...]:
        """The cells of a column, one a row."""
        index = self.columns.index(name)
        return tuple(row[index] for row in self.rows)

    def refuse(self, row: int, column: str, text: str) -> NoReturn:
        """An InputError that names file, line and column."""
        raise InputError(f"{self.path}, {self.places[row]}, column {column!r}: {text}")


def read_table(path: str | Path) -> Table:
    """The table in a file: of .csv and .tsv the delimiter is found out, of .json and .jsonl each object is a row.

    Raises:
        InputError: the file cannot be read, is of no known kind, is empty, or has ragged rows or two columns of a name.
    """
    where = Path(path)
    suffix = where.suffix.lower()
    if suffix not in _READERS:
        known = ", ".join(_READERS)
        raise InputError(f"{path}: what kind of table it is is told by the end of its name, one of {known}")
    if where.is_dir():
        raise InputError(f"{path} is a folder: name a file in it")
    try:
        content = where.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    if not content.strip():
        raise InputError(f"{path} is empty")
    table = _READERS[suffix](str(path), content)
    if not table.rows:
        raise InputError(f"{path} has a header and no rows" if table.columns else f"{path} holds no rows")
    for name in table.columns:
        if table.columns.count(name) > 1:
            raise InputError(f"{path} has two columns {name!r}: which one is meant?")
    return table


def _text(path: str, content: bytes) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError(f"{path} is text in UTF-16: save it as UTF-8 (in a spreadsheet: CSV UTF-8)")
    try:
        return content.decode("utf-8-sig")  # spreadsheets begin a file with a mark
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise InputError(f"{path}, line {line}: it is not text in UTF-8 ({error.reason})") from error


def _read_csv(path: str, content: bytes) -> Table:
    text = _text(path, content)
    delimiter = max(DELIMITERS, key=lambda each: _header_cells(path, text, each))  # of equals the first: one column
    header: tuple[str, ...] | None = None
    rows, places = [], []
    for line, cells in _records(path, text, delimiter):
        if header is None:
            header = cells
            continue
        if len(cells) != len(header):
            hint = "; a cell with a comma stands in quotes" if delimiter == "," and len(cells) > len(header) else ""
            raise InputError(f"{path}, line {line}: {len(cells)} cells under a header of {len(header)} columns{hint}")
        rows.append(cells)
        places.append(f"line {line}")
    if header is None:
        raise InputError(f"{path} is empty")
    named = [i for i, name in enumerate(header) if name or any(row[i] for row in rows)]  # a comma at each line's end
    return Table(
        path,
        tuple(header[i] or f"column {i + 1}" for i in named),
        tuple(tuple(row[i] for i in named) for row in rows),
        tuple(places),
    )


def _header_cells(path: str, text: str, delimiter: str) -> int:
    try:
        return len(next(_records(path, text, delimiter), (1, ()))[1])
    except InputError:  # quotes that stand wrong for this delimiter
        return 0


def _records(path: str, text: str, delimiter: str) -> Iterator[tuple[int, tuple[str, ...]]]:
    """(Line at which it begins, cells) of each record that is not blank."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True, skipinitialspace=True)
    line = 1
    try:
        for cells in reader:
            stripped = tuple(cell.strip() for cell in cells)
            if any(stripped):
                yield line, stripped
            line = reader.line_num + 1
    except csv.Error as error:
        raise InputError(f"{path}, line {line}: it is no valid CSV ({error})") from error


def _read_json_lines(path: str, content: bytes) -> Table:
    found = []
    for number, line in enumerate(_text(path, content).split("\n"), start=1):
        if line.strip():
            found.append((f"line {number}", _parsed(f"{path}, line {number}", line)))
    return _of_objects(path, found)


def _read_json(path: str, content: bytes) -> Table:
    found = _parsed(path, _text(path, content))
    if not isinstance(found, list):
        raise InputError(f"{path} must be a list of objects, one a run; got {_kind(found)}")
    return _of_objects(path, ((f"row {number}", each) for number, each in enumerate(found, start=1)))


def _parsed(place: str, text: str) -> Any:
    try:
        return json.loads(text, parse_int=str, parse_float=str, parse_constant=str)
    except (json.JSONDecodeError, RecursionError) as error:
        raise InputError(f"{place}: it is no valid JSON ({error})") from error


def _of_objects(path: str, objects: Iterable[tuple[str, Any]]) -> Table:
    """A table of JSON objects; a name that an object has not is an empty cell."""
    found = list(objects)
    for place, each in found:
        if not isinstance(each, Mapping):
            raise InputError(f"{path}, {place}: a row is an object of names and values, got {_kind(each)}")
    columns = tuple(dict.fromkeys(name for _, each in found for name in each))
    rows = tuple(tuple(_json_cell(each.get(name)) for name in columns) for _, each in found)
    return Table(path, columns, rows, tuple(place for place, _ in found))


def _json_cell(value: Any) -> str:
    """A cell as text: numbers are text already (``_parsed``), and what is no cell, such as a list, stays JSON."""
    return "" if value is None else value.strip() if isinstance(value, str) else json.dumps(value)


def _kind(value: Any) -> str:
    kinds = {bool: str(value).lower(), dict: "an object", list: "a list", str: "a single value"}
    return "null" if value is None else kinds.get(type(value), type(value).__name__)


def _read_parquet(path: str, content: bytes) -> Table:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError:
        raise InputError(f"{path}: to read Parquet needs pyarrow: pip install 'seedbed[parquet]'") from None
    try:
        found = parquet.read_table(io.BytesIO(content)).to_pydict()
    except (ArrowException, OSError) as error:
        raise InputError(f"{path} is no Parquet file, or is damaged ({str(error).splitlines()[0]})") from error
    columns = tuple(name for name in found if not name.startswith("__index_level_"))  # pandas keeps its index so
    cells = [tuple(_cell(value) for value in found[name]) for name in columns]
    rows = tuple(zip(*cells, strict=True))
    return Table(path, columns, rows, tuple(f"row {number}" for number in range(1, len(rows) + 1)))


def _cell(value: Any) -> str:
    return "" if value is None else str(value).strip()


_READERS: dict[str, Callable[[str, bytes], Table]] = {
    ".csv": _read_csv,
    ".tsv": _read_csv,
    ".jsonl": _read_json_lines,
    ".ndjson": _read_json_lines,
    ".json": _read_json,
    ".parquet": _read_parquet,
}
