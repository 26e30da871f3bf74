"""Make the checkout ready: .venv/ from a hashed lock, static/vendor/ from package-lock.json.

    python3 tools/bootstrap.py runtime|dev|bench

Runs on the standard library alone, on Python 3.7 far enough to say that it is too old, and does nothing when all is
in place. What goes wrong is said in one line; the whole story stands in .venv/bootstrap.log.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NoReturn, Sequence

ROOT = Path(__file__).absolute().parent.parent
VENV = ROOT / ".venv"
PYTHON = str(VENV / "bin" / "python")
LOG = VENV / "bootstrap.log"
VENDORED = ROOT / "static" / "vendor" / "htmx.min.js"
OLDEST = (3, 11)
NAMES = ("python3", "python3.14", "python3.13", "python3.12", "python3.11")
LARGER = {"runtime": ("dev", "bench"), "dev": ("bench",)}  # locks that hold this one and more
FRONT_END = ("package.json", "package-lock.json", "tools/vendor.py")

CAUSES = (  # what the installers print -> what it means
    (
        ("No space left", "os error 28", "ENOSPC"),
        "The disk is full: free about 600 MB beside the checkout and try again.",
    ),
    (
        ("ensurepip is not available", "No module named venv", "No module named ensurepip"),
        "This Python has no venv module: install it (on Debian and Ubuntu: apt install python3-venv) and try again.",
    ),
    (
        ("do not match the hashes", "Hash mismatch", "EINTEGRITY"),
        "A package that came over the network is not the one that was locked: check the index or proxy in between.",
    ),
    (
        (
            "error sending request",
            "Failed to fetch",
            "dns error",
            "Failed to establish a new connection",
            "EAI_AGAIN",
            "Temporary failure in name resolution",
            "ENOTFOUND",
            "ECONNREFUSED",
            "ETIMEDOUT",
            "Connection refused",
            "No matching distribution",
            "Could not connect",
            "Name or service not known",
            "timed out",
        ),
        "Packages cannot be fetched: no network, or the package index does not answer. Check the connection or proxy.",
    ),
    (("Permission denied", "Read-only file system"), "The checkout cannot be written to: check who owns it."),
)


def main() -> None:
    """Bring the lock named on the command line (or `runtime`) into place."""
    lock = sys.argv[1] if len(sys.argv) > 1 else "runtime"
    if is_ready(lock):
        return
    started = time.time()
    python = find_python()
    try:
        create_environment(python)
        install(lock)
        fetch_front_end()
        write_launcher()
    except OSError as error:
        fail(cause(str(error)) or f"The checkout could not be made ready: {error}.")
    write_stamp("front-end", fingerprint(FRONT_END))
    write_stamp(lock, fingerprint([f"requirements/{lock}.txt"]))
    say(f"Ready after {time.time() - started:.0f} s.")


def is_ready(lock: str) -> bool:
    """Whether this lock, or a larger one, is installed as it stands, and the browser's files with it."""
    if not (VENDORED.exists() and Path(PYTHON).exists() and read_stamp("front-end") == fingerprint(FRONT_END)):
        return False
    if not Path(f"requirements/{lock}.txt").exists():
        return False
    return any(read_stamp(name) == fingerprint([f"requirements/{name}.txt"]) for name in (lock, *LARGER.get(lock, ())))


def find_python() -> str:
    """A Python that is new enough: this one, or another on the PATH. A name alone proves nothing: each is tried."""
    if sys.version_info[:2] >= OLDEST:
        return sys.executable
    code = f"import sys; print(sys.executable if sys.version_info[:2] >= {OLDEST} else '')"
    for name in NAMES:
        try:
            told = subprocess.run([name, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
        except OSError:
            continue
        if told.returncode == 0 and told.stdout.strip():
            return told.stdout.decode().strip()
    this = f"{sys.version_info[0]}.{sys.version_info[1]} ({sys.executable})"
    return fail(
        f"Careline needs Python 3.11 or later; this is {this}. Install a newer one; it may stand beside the old."
    )


def create_environment(python: str) -> None:
    """Make .venv, or make it anew when its Python is gone or too old."""
    code = f"import sys, pip; sys.exit(sys.version_info[:2] < {OLDEST})"
    if Path(PYTHON).exists() and subprocess.run([PYTHON, "-c", code], stderr=subprocess.DEVNULL).returncode == 0:
        return
    if VENV.exists():
        shutil.rmtree(VENV)
    VENV.mkdir()
    run("Creating .venv", [python, "-m", "venv", str(VENV)])


def install(lock: str) -> None:
    """Install the lock with uv, which is fast; with pip where uv does not get through (it ignores pip's settings)."""
    requirements = ROOT / "requirements"
    pip = [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--require-hashes"]
    uv = VENV / "bin" / "uv"
    if not uv.exists():
        run("Fetching the installer", [*pip, "-r", str(requirements / "uv.txt")])
    locked = requirements / f"{lock}.txt"
    what = f"Installing {locked.read_text(encoding='utf-8').count('==')} Python packages"
    fast = [str(uv), "pip", "install", "--python", PYTHON, "--require-hashes", "-r", str(locked)]
    if not run(what, fast, must=False):
        run(f"{what} with pip", [*pip, "-r", str(locked)])


def fetch_front_end() -> None:
    """Copy the browser's files, unless they are there as locked."""
    if not VENDORED.exists() or read_stamp("front-end") != fingerprint(FRONT_END):
        run("Fetching the front-end files", [PYTHON, str(ROOT / "tools" / "vendor.py")])


def write_launcher() -> None:
    """Give .venv a `careline` command that runs this checkout."""
    path = VENV / "bin" / "careline"
    path.write_text(
        f"#!{PYTHON}\nimport sys\n\nsys.path.insert(0, {str(ROOT)!r})\nfrom app.cli import main\n\nsys.exit(main())\n",
        encoding="utf-8",
    )
    path.chmod(0o755)


def run(what: str, command: Sequence[str], *, must: bool = True) -> bool:
    """Run one step with a line of progress; on failure say why in one line and leave, or return False."""
    begun = time.time()
    with LOG.open("ab") as log:
        start = log.tell()
        environment = dict(os.environ, UV_NO_PROGRESS="1", PIP_PROGRESS_BAR="off")
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, env=environment)
        try:
            wait(process, what, begun)
        except KeyboardInterrupt:
            process.terminate()
            process.wait()
            fail("\nStopped. The next start goes on from here.")
    if process.returncode == 0:
        say(f"\r{what} ... {time.time() - begun:.0f} s" if sys.stdout.isatty() else f"  {time.time() - begun:.0f} s")
        return True
    if sys.stdout.isatty():
        say("")
    if must:
        said = read_log(start)
        fail(cause(said) or f"{what} failed: {last_line(said)} (the whole log is {LOG})")
    return False


def wait(process: subprocess.Popen[bytes], what: str, begun: float) -> None:
    """Wait with a sign of life: a running clock on a terminal, a line at the start elsewhere."""
    if not sys.stdout.isatty():
        say(f"{what} ...")
    while process.poll() is None:
        if sys.stdout.isatty():
            sys.stdout.write(f"\r{what} ... {time.time() - begun:.0f} s")
            sys.stdout.flush()
        time.sleep(0.1)


def cause(said: str) -> str | None:
    """The plain sentence for what an installer printed, if it is known."""
    return next((sentence for marks, sentence in CAUSES if any(mark in said for mark in marks)), None)


def read_log(start: int) -> str:
    """What the last step printed."""
    with LOG.open("rb") as log:
        log.seek(start)
        return log.read().decode("utf-8", "replace")


def last_line(said: str) -> str:
    """The last line that says something."""
    return next((line.strip() for line in reversed(said.splitlines()) if line.strip()), "it said nothing")


def fingerprint(files: Sequence[str]) -> str:
    """One digest over some files of the checkout."""
    digest = hashlib.sha256()
    for name in files:
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def read_stamp(name: str) -> str | None:
    """The fingerprint that is in place, if any."""
    try:
        return (VENV / f"careline-{name}.stamp").read_text(encoding="utf-8")
    except OSError:
        return None


def write_stamp(name: str, digest: str) -> None:
    """Note that the fingerprint is in place."""
    (VENV / f"careline-{name}.stamp").write_text(digest, encoding="utf-8")


def say(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)


def fail(line: str) -> NoReturn:
    """Say what is wrong in one line, and leave."""
    sys.stdout.flush()
    sys.stderr.write(line + "\n")
    sys.exit(1)


if __name__ == "__main__":
    main()
