"""Khmer lines: rendered, or labelled images below a folder."""

from shared.ocr.lines.data import FolderData, GeneratedData

__all__ = ["FolderData", "GeneratedData"]
