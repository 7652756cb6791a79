"""One self-contained HTML page for a run, or for several side by side: no network, light and dark, phone and print."""

import html
from pathlib import Path
from typing import TYPE_CHECKING

from shared.files import write_atomically
from shared.runs.pages import sections
from shared.runs.reading.runlog import RunLog

if TYPE_CHECKING:
    from shared.runs.forecast.result import Forecast

HERE = Path(__file__).parent


def write_page(runs: list[RunLog], target: Path, forecasts: "dict[str, Forecast] | None" = None) -> Path:
    """Write the page of `runs`; `forecasts` by run name are drawn into it."""
    write_atomically(target, page(runs, forecasts or {}))
    return target


def page(runs: list[RunLog], forecasts: "dict[str, Forecast]") -> str:
    if len(runs) == 1:
        (run,) = runs
        return document(run.name, sections.one_run(run, forecasts.get(run.name)))
    return document("Comparison", sections.comparison(runs))


def document(title: str, body: str) -> str:
    """A whole page around `body`, with the style and the script in it."""
    style, script = (HERE / "page.css").read_text(), (HERE / "page.js").read_text()
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><link rel=icon href=data:,><style>{style}</style></head>"
        f"<body>{body}<script>{script}</script></body></html>\n"
    )
