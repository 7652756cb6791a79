"""What pip may install on top of a base image: our dependencies, and never another version of what the base holds.

  requirements.py plan    writes requirements.txt and constraints.txt beside this script
  requirements.py verify  fails if any package of the base is no longer what it was

constraints.txt pins every package of the base to its version there, and all others to those we test with.
"""

import argparse
import re
import sys
import tomllib
from importlib.metadata import distributions
from pathlib import Path

HERE = Path(__file__).resolve().parent
VERSION = re.compile(
    r"\d+(\.\d+)*((a|b|rc)\d+)?(\.post\d+)?(\.dev\d+)?(\+[a-z0-9]+([._-][a-z0-9]+)*)?", re.IGNORECASE
)


def text(name: str) -> str:
    """Of a file that a build puts beside this one, and a clone keeps above it."""
    places = (HERE / name, HERE.parent / name, HERE.parent / "constraints" / name)
    return next(path for path in places if path.exists()).read_text()


def canonical(requirement: str) -> str:
    """The name alone, spelt as PEP 503 has it."""
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", requirement)[0]).lower()


def installed() -> dict[str, str]:
    """Versions by name, of what is imported first; without the system's own that are no Python versions."""
    found: dict[str, str] = {}
    for each in distributions():
        if each.metadata["Name"] and VERSION.fullmatch(each.version):
            found.setdefault(canonical(each.metadata["Name"]), each.version)
    return found


def wanted(extras: str, without: str) -> list[str]:
    """Our dependencies and those of some extras, without those that the image brings."""
    project = tomllib.loads(text("pyproject.toml"))["project"]
    more = [each for extra in extras.split(",") if extra for each in project["optional-dependencies"][extra]]
    left_out = {canonical(name) for name in without.split(",") if name}
    return [each for each in [*project["dependencies"], *more] if canonical(each) not in left_out]


def plan(extras: str, without: str, may_replace: str) -> None:
    base = installed()
    for name in filter(None, may_replace.split(",")):
        if canonical(name) in ("torch", "torchvision", "paddlepaddle-gpu"):
            sys.exit(f"error: {name} is what the base image is for (MAY_REPLACE)")
        base.pop(canonical(name), None)
    lines = text("cpu-py311.txt").splitlines()
    tested = [
        line for line in lines if "==" in line and not line.startswith("#") and canonical(line) not in base
    ]
    tested = [line for line in tested if canonical(line) not in ("torch", "paddlepaddle")]
    pins = [f"{name}=={version}" for name, version in sorted(base.items())]
    (HERE / "base.txt").write_text("\n".join(pins) + "\n")
    (HERE / "constraints.txt").write_text("\n".join(pins + tested) + "\n")
    (HERE / "requirements.txt").write_text("\n".join(wanted(extras, without)) + "\n")


def verify() -> None:
    now = installed()
    before = dict(line.split("==") for line in (HERE / "base.txt").read_text().split())
    odd = [
        f"{name} {version} -> {now.get(name)}" for name, version in before.items() if now.get(name) != version
    ]
    if odd:
        sys.exit(f"error: pip replaced what the base image brings: {', '.join(odd)}")
    print(
        f"{len(before)} packages of the base are what they were; torch {now.get('torch', 'is not installed')}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("do", choices=("plan", "verify"))
    parser.add_argument("--extras", default="", help="of pyproject.toml, with commas")
    parser.add_argument("--without", default="", help="dependencies that are not for this image")
    parser.add_argument(
        "--may-replace", default="", help="packages of the base that pip may replace after all"
    )
    args = parser.parse_args()
    plan(args.extras, args.without, args.may_replace) if args.do == "plan" else verify()


if __name__ == "__main__":
    main()
