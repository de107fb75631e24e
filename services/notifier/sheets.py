"""Rows of the tables that people keep, as CSV or Excel files (.xlsx): each fault told with line, field and fix."""

import csv
import warnings
import zipfile
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from io import BytesIO
from pathlib import Path

from openpyxl import load_workbook

MOST_UNPACKED_BYTES = 100 * 1024 * 1024
MOST_COLUMNS = 100


@dataclass(frozen=True, slots=True)
class RowFault:
    """One thing to mend in a file. line: as an editor counts. The refused value is never repeated."""

    line: int
    field: str
    fix: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.field}: {self.fix}"


class FileRefused(ValueError):
    """A file with faults; nothing of it is imported."""

    def __init__(self, faults: Collection[RowFault]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = tuple(faults)


class Row:
    """One row under inspection; collects its faults."""

    def __init__(self, line: int, cells: Mapping[str, str], faults: list[RowFault]) -> None:
        self._line = line
        self._cells = cells
        self._faults = faults

    def text(self, field: str) -> str:
        """What stands in a column, without the space around it; empty if the file has no such column."""
        return self._cells.get(field, "").strip()

    def check(self, field: str, right: bool, fix: str) -> bool:
        """Note a fault unless something is right; return whether it is."""
        if not right:
            self._faults.append(RowFault(self._line, field, fix))
        return right

    def check_by(self, field: str, checking: Callable[[], object]) -> None:
        """Run a check that raises ValueError with what to fix."""
        try:
            checking()
        except ValueError as error:
            self._faults.append(RowFault(self._line, field, str(error)))


def rows_of(path: Path, required: tuple[str, ...], optional: tuple[str, ...], faults: list[RowFault]) -> Iterator[Row]:
    """Yield the rows below the header, empty ones left out; faults of single rows go to `faults`.

    Raises FileRefused if the file is no such table, OSError.
    """
    lines = _xlsx_lines(path) if path.suffix.lower() == ".xlsx" else _csv_lines(path, faults)
    _, first = next(lines, (1, []))
    header = [cell.strip() for cell in first]
    _check_header(header, required, optional)
    for line, cells in lines:
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(header):
            faults.append(RowFault(line, "row", f"give {len(header)} cells, as in the first line"))
            continue
        yield Row(line, dict(zip(header, cells, strict=True)), faults)


def refuse_faulty(faults: list[RowFault], found: Collection[object]) -> None:
    """Raise FileRefused if there are faults, or if there was nothing to find any in."""
    if not faults and not found:
        faults = [RowFault(1, "file", "the file holds no rows")]
    if faults:
        raise FileRefused(faults)


def _csv_lines(path: Path, faults: list[RowFault]) -> Iterator[tuple[int, list[str]]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise FileRefused([RowFault(1, "file", "save the file as UTF-8 (in Excel: CSV UTF-8)")]) from None
    if "\0" in text:
        raise FileRefused([RowFault(1, "file", "this is not a CSV file; save the table as CSV UTF-8 or as .xlsx")])
    reader = csv.reader(text.splitlines(keepends=True), strict=True)
    try:
        for cells in reader:
            yield reader.line_num, cells
    except csv.Error:
        faults.append(RowFault(reader.line_num, "row", "a quotation mark is not closed, or stands where none may"))


def _xlsx_lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of the first sheet that hold anything, with the columns that its first row names."""
    content = path.read_bytes()
    try:
        rows = _unpack(content)
    except FileRefused:
        raise
    except Exception as error:
        # What the library meets in a broken file it raises as it is: KeyError, TypeError, zlib.error and many more.
        fix = "this is not an Excel file, or it is broken; save the table anew as .xlsx or CSV UTF-8"
        raise FileRefused([RowFault(1, "file", fix)]) from error
    width = None
    for line, values in rows:
        cells = [_written(value) for value in values]
        while cells and not cells[-1]:
            cells.pop()
        # Excel leaves out the empty cells at the end of a row.
        width = len(cells) if width is None else width
        yield line, cells + [""] * (width - len(cells))


def _unpack(content: bytes) -> list[tuple[int, tuple[object, ...]]]:
    with zipfile.ZipFile(BytesIO(content)) as packed:
        unpacked = sum(part.file_size for part in packed.infolist())
    if unpacked > MOST_UNPACKED_BYTES:
        raise FileRefused([RowFault(1, "file", "the file is too large; split the list")])
    with warnings.catch_warnings():
        # Of a sheet's decoration, which is not read here.
        warnings.simplefilter("ignore", UserWarning)
        book = load_workbook(BytesIO(content), read_only=True, data_only=True)
        rows = book.worksheets[0].iter_rows(values_only=True, max_col=MOST_COLUMNS)
        return [(line, row) for line, row in enumerate(rows, 1) if line == 1 or any(cell is not None for cell in row)]


def _written(value: object) -> str:
    """Write a cell as people would type it: a code that Excel took for a number, a day, a time."""
    match value:
        case None:
            return ""
        case float() if value.is_integer():
            return str(int(value))
        case datetime() if value.time() == time():
            return value.date().isoformat()
        case datetime():
            return value.isoformat(sep=" ", timespec="minutes")
        case date():
            return value.isoformat()
        case time():
            return value.isoformat(timespec="minutes")
    return str(value)


def _check_header(header: list[str], required: tuple[str, ...], optional: tuple[str, ...]) -> None:
    faults = [RowFault(1, name, "this column is missing in the first line") for name in required if name not in header]
    if any(name not in required + optional for name in header) or len(set(header)) != len(header):
        faults.append(RowFault(1, "header", f"use each of these columns once: {', '.join(required + optional)}"))
    if faults:
        raise FileRefused(faults)
