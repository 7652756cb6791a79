"""A searchable PDF: the images of the pages, and their text, which is there but not drawn."""

import ctypes
import io
import math
from collections.abc import Sequence

import pypdfium2
import pypdfium2.raw as pdfium
from PIL import Image

from shared.ocr.pages.read_page import Line, Page
from shared.ocr.pages.sources import DOTS_PER_INCH

INVISIBLE = 3  # text rendering mode of PDF 32000-1, table 106
POINTS = 72 / DOTS_PER_INCH


def as_pdf(pages: Sequence[Page], font: str) -> bytes:
    """The file's bytes; `font` is a file that covers the text, in which searching finds it."""
    with open(font, "rb") as file:  # noqa: PTH123 (PDFium wants its bytes)
        content = file.read()
    document = pypdfium2.PdfDocument.new()
    loaded = (ctypes.c_ubyte * len(content)).from_buffer_copy(content)
    face = pdfium.FPDFText_LoadFont(document, loaded, len(content), pdfium.FPDF_FONT_TRUETYPE, True)
    for page in pages:
        _add_page(document, page, face)
    stream = io.BytesIO()
    document.save(stream)
    document.close()
    return stream.getvalue()


def _add_page(document: pypdfium2.PdfDocument, page: Page, face: object) -> None:
    height, width = page.image.shape[:2]
    sheet = document.new_page(width * POINTS, height * POINTS)
    picture = io.BytesIO()
    Image.fromarray(page.image).convert("RGB").save(picture, "JPEG", quality=85)
    picture.seek(0)
    image = pypdfium2.PdfImage.new(document)
    image.load_jpeg(picture)
    image.set_matrix(pypdfium2.PdfMatrix().scale(width * POINTS, height * POINTS))
    sheet.insert_obj(image)
    for line in page.lines:
        _add_line(document, sheet, page, line, face)
    sheet.gen_content()


def _add_line(document: pypdfium2.PdfDocument, sheet: object, page: Page, line: Line, face: object) -> None:
    """The line's text, stretched to the width of its box and turned as it is."""
    size = line.box.height * POINTS * 0.7
    text = pdfium.FPDFPageObj_CreateTextObj(document, face, size)
    units = (line.text + "\n").encode("utf-16-le") + b"\0\0"
    buffer = (ctypes.c_ushort * (len(units) // 2)).from_buffer_copy(units)
    pdfium.FPDFText_SetText(text, buffer)
    pdfium.FPDFTextObj_SetTextRenderMode(text, INVISIBLE)

    edges = [ctypes.c_float() for _ in range(4)]
    pdfium.FPDFPageObj_GetBounds(text, *edges)
    natural = max(1e-3, edges[2].value - edges[0].value)
    angle = math.radians(-line.box.angle)
    stretch = line.box.width * POINTS / natural
    _, _, _, corner = line.box.corners
    x, y = float(corner[0]) * POINTS, (page.image.shape[0] - float(corner[1])) * POINTS + 0.25 * size
    cosine, sine = math.cos(angle), math.sin(angle)
    pdfium.FPDFPageObj_Transform(text, stretch * cosine, stretch * sine, -sine, cosine, x, y)
    pdfium.FPDFPage_InsertObject(sheet, text)
