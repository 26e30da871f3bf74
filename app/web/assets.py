"""Static files under an address that changes with their content, so that browsers may keep them for ever.

`/static/<build>/js/live.js`: `<build>` is one digest over all files, so that modules that import each other by
relative paths always come from the same set.
"""

import hashlib
import os
from pathlib import Path
from typing import Any

from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

STATIC = Path(__file__).parents[2] / "static"
FOR_EVER = "public, max-age=31536000, immutable"


def digest(folder: Path) -> str:
    """Twelve hexadecimal digits over names and contents of all files in a folder."""
    found = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        found.update(str(file.relative_to(folder)).encode() + b"\0" + file.read_bytes())
    return found.hexdigest()[:12]


BUILD = digest(STATIC)


def static_url(path: str) -> str:
    """The address of a static file."""
    return f"/static/{BUILD}/{path}"


class Assets(StaticFiles):
    """Serves `/<build>/<path>`; an address of an older build gets today's file, uncached."""

    def get_path(self, scope: Scope) -> str:
        """The file's path without the build."""
        return os.path.normpath(super().get_path(scope).partition("/")[2])

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        """The file, to be kept for ever when the address names this build."""
        response = super().file_response(*args, **kwargs)
        scope: Scope = args[2]
        current = f"/{BUILD}/" in scope["path"]
        response.headers["Cache-Control"] = FOR_EVER if current else "no-cache"
        return response
