"""Static files under an address that changes with their content, so that browsers may keep them for ever.

`/static/<build>/js/live.js`: `<build>` is one digest over all files, so that modules that import each other by
relative paths always come from the same set. Text goes out packed once and as small as gzip makes it; styles and scripts
without their comments and blanks.
"""

import gzip
import hashlib
import os
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import rcssmin
import rjsmin
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

STATIC = Path(__file__).parents[2] / "static"
FOR_EVER = "public, max-age=31536000, immutable"
PACKED = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


_DESCENDANT = re.compile(r"(?<=[\w\])&*]) +(?=:[a-z])")


def _styles(text: str) -> str:
    """Styles without comments and blanks.

    rcssmin knows no nesting: within a block it takes `a :focus` for a name and its value, and joins them. `a *:focus`
    means the same.
    """
    return str(rcssmin.cssmin(_DESCENDANT.sub(" *", text)))


SQUEEZE = {".css": _styles, ".js": rjsmin.jsmin}


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


@lru_cache(maxsize=128)
def packed(path: Path, changed: int) -> bytes:  # noqa: ARG001 - a part of the key: what changed is packed anew
    """A text file as it goes out, gzipped; styles and scripts without comments and blanks."""
    text = path.read_text(encoding="utf-8")
    squeezed = SQUEEZE[path.suffix](text) if path.suffix in SQUEEZE and not path.stem.endswith(".min") else text
    return gzip.compress(squeezed.encode(), compresslevel=9, mtime=0)


class Assets(StaticFiles):
    """Serves `/<build>/<path>`; an address of an older build gets today's file, uncached."""

    def get_path(self, scope: Scope) -> str:
        """The file's path without the build."""
        return os.path.normpath(super().get_path(scope).partition("/")[2])

    def file_response(self, full_path: str | os.PathLike[str], *args: Any, **kwargs: Any) -> Response:
        """The file, to be kept for ever when the address names this build."""
        scope: Scope = args[1]
        path = Path(full_path)
        if path.suffix in PACKED and "gzip" in Headers(scope=scope).get("accept-encoding", ""):
            encoding = {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
            response = Response(packed(path, path.stat().st_mtime_ns), headers=encoding, media_type=PACKED[path.suffix])
        else:
            response = super().file_response(full_path, *args, **kwargs)
        current = f"/{BUILD}/" in scope["path"]
        response.headers["Cache-Control"] = FOR_EVER if current else "no-cache"
        return response
