"""Every table, one file per owner. Only the owner writes a table; others read it through a view of the owner's."""

from shared.db.tables.base import METADATA

__all__ = ["METADATA"]
