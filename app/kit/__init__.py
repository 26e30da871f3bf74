"""The kit: a connector in a package of its own, with a fake server and tests that pass, to go on from."""

import re
from pathlib import Path

from app.connectors import registry
from app.errors import Conflict, Invalid

SKELETON = Path(__file__).parent / "skeleton"
NAME = re.compile(r"[a-z](?:_?[a-z0-9]){1,29}")


def new_connector(name: str, beside: Path) -> Path:
    """Write the package `careline-NAME` into the folder `beside`, and return its folder.

    Raises Invalid for a name that cannot be, and Conflict where something is there already: nothing is overwritten.
    """
    _check(name)
    folder = beside / f"careline-{_dashed(name)}"
    try:
        folder.mkdir()
        for source in sorted(SKELETON.rglob("*")):
            if source.is_file() and source.suffix in {".py", ".toml", ".md"}:
                place = folder / _place(source.relative_to(SKELETON), name)
                place.parent.mkdir(exist_ok=True)
                place.write_text(filled(source.read_text(encoding="utf-8"), name), encoding="utf-8")
    except FileExistsError as error:
        raise Conflict(f"{folder} is there already. Nothing was written; remove it, or choose another name.") from error
    except OSError as error:
        raise Invalid(f"{error.filename} cannot be written: {error.strerror}.") from error
    return folder


def filled(text: str, name: str) -> str:
    """A file of the skeleton as that of the new connector."""
    title = name.replace("_", " ").capitalize()
    camel = "".join(part.capitalize() for part in name.split("_"))
    for pattern, words in (
        (r"app\.kit\.skeleton\.tests\.", ""),
        (r"app\.kit\.skeleton", f"careline_{name}"),
        (r"careline-skeleton|skeleton(?=\.example)", lambda found: found[0].replace("skeleton", _dashed(name))),
        (r"Skeleton(?=[A-Z])|(?<=Fake)Skeleton", camel),
        (r"Skeleton", title),
        (r"skeleton", name),
    ):
        text = re.sub(pattern, words, text)
    return text


def _check(name: str) -> None:
    if not NAME.fullmatch(name):
        raise Invalid(
            f"'{name}' cannot be a channel's name: it has 2 to 30 small letters and digits, with single underscores"
            " between them, and begins with a letter.",
            "name",
        )
    if name in {*registry.all(), *(one.name for one in registry.broken())}:
        raise Conflict(f"There is a connector '{name}' already. Choose another name: posts are known by it.")


def _place(path: Path, name: str) -> Path:
    """Where a file of the skeleton goes: the code into the package, the rest beside it."""
    inside = path.suffix == ".py" and len(path.parts) == 1
    named = path.with_name(path.name.replace("skeleton", name))
    return Path(f"careline_{name}") / named if inside else named


def _dashed(name: str) -> str:
    """As packages and hosts are named."""
    return name.replace("_", "-")
