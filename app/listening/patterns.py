"""Admins' patterns, on RE2: linear time, whatever was typed."""

from functools import lru_cache
from typing import Any

import re2

from app.i18n import _

MOST_PATTERN_MEMORY = 8 << 20  # bytes RE2 may use for one pattern


@lru_cache(maxsize=512)
def compiled(pattern: str) -> Any:
    """Compile an admin's pattern with RE2, case-insensitive: linear time, whatever was typed.

    Raises:
        ValueError: the pattern is not one; says where.
    """
    options = re2.Options()
    options.case_sensitive = False
    options.max_mem = MOST_PATTERN_MEMORY
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        cause = error.args[0].decode() if isinstance(error.args[0], bytes) else error.args[0]
        raise ValueError(
            _("'%(pattern)s' is not a pattern that RE2 knows: %(cause)s") % {"pattern": pattern, "cause": cause}
        ) from error
