"""A checkpoint table as JSON, Markdown and HTML."""

import html

from shared.runs.checkpoints.prune import Prune
from shared.runs.checkpoints.row import CheckpointTable, Row, disk_bytes


def as_json(table: CheckpointTable, prune: Prune | None = None) -> dict:
    found = {
        "folder": str(table.folder),
        "checkpoints": [
            {
                "file": row.file,
                "epoch": row.epoch,
                "bytes": row.bytes,
                "parameters": row.parameters,
                "finite": row.finite,
                "lr": row.lr,
                "metrics": row.metrics,
                "sha256": row.sha256,
                "notes": row.notes,
            }
            for row in table.rows
        ],
        "trends": table.trends,
        "recommendation": table.recommendation,
    }
    if prune is not None:
        found["prune"] = {
            "delete": [{"file": row.file, "reason": reason} for row, reason in prune.delete],
            "keep": [{"file": row.file, "reason": reason} for row, reason in prune.keep],
            "bytes_freed": prune.freed,
        }
    return found


def cells(table: CheckpointTable) -> tuple[list[str], list[list[str]]]:
    """Header and rows of text."""
    metrics = list(dict.fromkeys(name for row in table.rows for name in row.metrics))[:5]
    header = ["file", "epoch", *metrics, "LR", "size", "parameters", "finite", "sha256", "notes"]
    return header, [_row(row, metrics) for row in table.rows]


def _row(row: Row, metrics: list[str]) -> list[str]:
    values = [f"{row.metrics[m]:.4f}" if m in row.metrics else "" for m in metrics]
    health = {True: "yes", False: "**NO**", None: "?"}[row.finite]
    return [
        row.file, "" if row.epoch is None else str(row.epoch), *values, "" if row.lr is None else f"{row.lr:.8f}",
        size(row.bytes), f"{row.parameters:,}" if row.parameters else "", health, row.sha256, "; ".join(row.notes),
    ]  # fmt: skip


def size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{count / 1e3:.1f} kB"


def as_markdown(table: CheckpointTable, prune: Prune | None = None) -> str:
    header, rows = cells(table)
    widths = [max(len(r[i]) for r in (header, *rows)) for i in range(len(header))]
    lines = [
        "| " + " | ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)) + " |" for r in (header, *rows)
    ]
    lines.insert(1, "|" + "|".join("-" * (w + 2) for w in widths) + "|")
    total = sum(disk_bytes(table.rows).values())
    lines += ["", f"{len(rows)} checkpoints, {size(total)} on disk. **{table.recommendation}**", ""]
    lines += [f"- {trend}" for trend in table.trends]
    if prune is not None:
        lines += ["", f"Pruning would delete {len(prune.delete)} files and free {size(prune.freed)}:"]
        lines += [f"- delete {row.file} ({reason})" for row, reason in prune.delete]
        lines += [f"- keep {row.file} ({reason})" for row, reason in prune.keep]
    return "\n".join(lines)


def as_html(table: CheckpointTable) -> str:
    """The table alone, for a page to hold."""
    header, rows = cells(table)
    head = "".join(f"<th>{html.escape(c)}</th>" for c in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(c.replace('**', ''))}</td>" for c in row) + "</tr>"
        for row in rows
    )
    note = html.escape(table.recommendation)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table><p>{note}</p>"
