"""After each validation: a picture of the worst, median and best readings, and a table of confused characters."""

from typing import Any

import numpy as np
from PIL import Image

from shared.data.draws import SampleKey
from shared.errors import UserError
from shared.ocr.lines.fonts import open_font
from shared.ocr.reading.pictures import confusions, page, worst_median_best
from shared.record.outlets import errors_logged


class Readings:
    """Writes `readings.png` and `confusions.tsv` into the run folder, and shows both to TensorBoard and W&B.

    A callback of either framework: the task has `data` and `line_scores` (LineScores).
    `count` lines each of the worst, the median and the best, their text in the font file `font`.
    """

    def __init__(self, font: str, count: int) -> None:
        self.font, self.count = open_font(font), count
        if self.font is None:
            raise UserError(f"no font file {font}", "callbacks.readings.font", "name a TrueType file")

    def on_validation_epoch_end(self, trainer: Any, task: Any) -> None:
        scores = task.line_scores
        if not trainer.is_global_zero or not scores.read:
            return
        chosen = worst_median_best(scores.read, self.count)
        rows = [(task.data.val[SampleKey(0, index)]["image"], text, read) for index, text, read in chosen]
        picture = page(rows, self.font)
        mixed = confusions([(text, read) for _, text, read in scores.read], scores.charset.language)
        with errors_logged("readings.png, confusions.tsv"):
            self.write(task, picture, mixed)
        for logger in trainer.loggers:
            with errors_logged(f"readings to {type(logger).__name__}"):
                self.show(logger, trainer.global_step, picture, mixed[:30])

    def write(self, task: Any, picture: np.ndarray, mixed: list[tuple[str, str, int]]) -> None:
        folder = task.rails.folder.path
        Image.fromarray(picture).save(folder / "readings.png")
        rows = "".join(f"{expected}\t{read}\t{count}\n" for expected, read, count in mixed)
        (folder / "confusions.tsv").write_text("expected\tread\tcount\n" + rows, encoding="utf-8")

    def show(self, logger: Any, step: int, picture: np.ndarray, mixed: list[tuple[str, str, int]]) -> None:
        names = ["expected", "read", "count"]
        writer = getattr(logger, "experiment", None)
        if hasattr(logger, "log_image"):
            logger.log_image("val/readings", [picture])
            logger.log_table("val/confusions", names, [list(row) for row in mixed])
        elif hasattr(writer, "add_image"):
            writer.add_image("val/readings", picture, step, dataformats="HWC")
            rows = [names, ["---"] * 3, *mixed]
            table = "\n".join(f"| {expected} | {read} | {count} |" for expected, read, count in rows)
            writer.add_text("val/confusions", table, step)
