"""Generated data sets: made once, atomically, and verified on every later start."""

import hashlib
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

from shared.errors import UserError

MANIFEST = "generated.json"


def make_embedded(root: str, embedded: str | None, generate: Callable[[Path], None], option: str) -> None:
    """Let `generate` make a data set in `embedded`; another `root` is a user's, where nothing is written."""
    check_root(root, embedded, option)
    generate(Path(root).expanduser())


def check_root(root: str, embedded: str | None, option: str) -> None:
    """UserError, which says that `option` chooses data of one's own, unless the root is that of generated data."""
    made = "://" not in root and (Path(root).expanduser() / MANIFEST).is_file()
    if embedded is not None and root != embedded and not made:
        what = f"{root} is not where the embedded data set is made"
        raise UserError(what, "data.root", f"for data of your own add {option}")


def make_once(folder: Path, write: Callable[[Path], None], recipe: str) -> None:
    """Let `write` fill `folder`, unless it is there; then check that it still is what `recipe` wrote.

    Processes may race: each writes into a folder of its own, the first to rename it wins.
    """
    if not folder.exists():
        try:
            generate(folder, write, recipe)
        except OSError as error:
            raise UserError(
                f"cannot write: {error.strerror}", str(folder), "free space or choose another"
            ) from error
    verify(folder, recipe)


def generate(folder: Path, write: Callable[[Path], None], recipe: str) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as parent:
        fresh = Path(parent) / folder.name
        fresh.mkdir()
        write(fresh)
        manifest = {"recipe": recipe, "sha256": digest(fresh)}
        (fresh / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
        try:
            fresh.rename(folder)
        except OSError:
            if not folder.exists():
                raise


def verify(folder: Path, recipe: str) -> None:
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
    except (OSError, ValueError):
        manifest = None
    if manifest != {"recipe": recipe, "sha256": digest(folder)}:
        what = "its files are not those that were generated"
        raise UserError(what, str(folder), "move it away; it will be generated again")


def digest(folder: Path) -> str:
    """SHA-256 over the names and contents of all files below a folder, the manifest aside."""
    total = hashlib.sha256()
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)
    for path in sorted(files):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        total.update(f"{path.relative_to(folder).as_posix()} {content}\n".encode())
    return total.hexdigest()
