"""A condition that is one and the same statement for however many values."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, any_, bindparam


def one_of(column: ColumnElement[Any], values: Collection[Any]) -> ColumnElement[bool]:
    """Whether a column has one of these values.

    `column.in_(values)` makes another statement for each number of values, and each is prepared by itself.
    """
    return column == any_(bindparam(None, list(values), type_=ARRAY(column.type), unique=True))
