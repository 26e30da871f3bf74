"""`make lock`: write requirements/*.txt and package-lock.json anew, hashed, for every platform, naming no index."""

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements"

# dev first: the others are held to dev's versions, so that dev is runtime and more, and bench is dev and more.
LOCKS = {
    "dev": ["pyproject.toml", "--extra", "embedded", "--extra", "dev"],
    "runtime": ["pyproject.toml", "--extra", "embedded", "--constraint", "requirements/dev.txt"],
    "bench": [
        "pyproject.toml",
        *("--extra", "embedded", "--extra", "dev", "--extra", "bench", "--constraint", "requirements/dev.txt"),
    ],
    "node": ["requirements/node.in"],
    "uv": ["requirements/uv.in"],
}
COMPILE = ["pip", "compile", "--quiet", "--universal", "--generate-hashes", "--no-header", "--no-annotate"]
COMPILE += ["--python-version", "3.11"]


def lock_python(upgrade: list[str]) -> None:
    """Resolve each lock with uv; `upgrade` holds options such as `--upgrade`."""
    for name, sources in LOCKS.items():
        path = REQUIREMENTS / f"{name}.txt"
        uv = Path(sys.executable).with_name("uv")
        subprocess.run([uv, *COMPILE, *upgrade, *sources, "--output-file", path], cwd=ROOT, check=True)
        path.write_text(without_addresses(path.read_text()))


def without_addresses(text: str) -> str:
    """Drop index options and comments that name an address: the lock serves any index."""
    lines = [
        line for line in text.splitlines() if not re.match(r"\s*(--(extra-)?index-url|--find-links|-i\b|-f\b)", line)
    ]
    return "\n".join(line for line in lines if not re.match(r"\s*#.*://", line)) + "\n"


def lock_node() -> None:
    """Resolve package-lock.json with npm, and drop every address from it; the integrity hashes stay."""
    sys.path.insert(0, str(ROOT))
    from tools import vendor  # noqa: PLC0415 - the path above comes first

    subprocess.run([*vendor.npm(), "install", "--package-lock-only", "--ignore-scripts"], cwd=ROOT, check=True)
    path = ROOT / "package-lock.json"
    lock = json.loads(path.read_text())
    for package in lock["packages"].values():
        package.pop("resolved", None)
    path.write_text(json.dumps(lock, indent=2) + "\n")


if __name__ == "__main__":
    lock_python(sys.argv[1:])
    lock_node()
