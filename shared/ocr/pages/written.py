"""Pages as text, JSON, hOCR and ALTO; a searchable PDF is written by `pdf.py`."""

import json
from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree

from shared.ocr.pages.read_page import Line, Page

ALTO = "http://www.loc.gov/standards/alto/ns-v4#"


def as_text(pages: Sequence[Page]) -> str:
    """Lines in order; a form feed between pages."""
    return "\f".join(f"{page.text}\n" if page.text else "" for page in pages)


def as_facts(page: Page) -> dict[str, Any]:
    """JSON values of one page: sizes and corners in pixels, clockwise from where the line begins."""
    return {
        "width": page.image.shape[1],
        "height": page.image.shape[0],
        "turned": page.turned,
        "mode": page.mode,
        "score": round(page.score, 4),
        "lines": [
            {
                "text": line.text,
                "score": round(line.score, 4),
                "unsure": line.unsure,
                "box": line.box.corners.round(1).tolist(),
            }
            for line in page.lines
        ],
    }


def as_json(files: Sequence[tuple[str, Sequence[Page]]]) -> str:
    rows = [
        {"file": name, "page": number, **as_facts(page)}
        for name, pages in files
        for number, page in enumerate(pages, start=1)
    ]
    return json.dumps(rows, ensure_ascii=False, indent=1) + "\n"


def as_hocr(pages: Sequence[Page], title: str, language: str) -> str:
    """hOCR 1.2: one ocr_line a line, its box and its confidence in percent."""
    html = ElementTree.Element("html", {"xmlns": "http://www.w3.org/1999/xhtml", "lang": language})
    head = ElementTree.SubElement(html, "head")
    ElementTree.SubElement(head, "title").text = title
    ElementTree.SubElement(head, "meta", {"charset": "utf-8"})
    facts = {"name": "ocr-capabilities", "content": "ocr_page ocr_line"}
    ElementTree.SubElement(head, "meta", {"name": "ocr-system", "content": "trainyard"})
    ElementTree.SubElement(head, "meta", facts)
    body = ElementTree.SubElement(html, "body")
    for number, page in enumerate(pages, start=1):
        height, width = page.image.shape[:2]
        where = f"bbox 0 0 {width} {height}; ppageno {number - 1}"
        sheet = ElementTree.SubElement(
            body, "div", {"class": "ocr_page", "id": f"page_{number}", "title": where}
        )
        for count, line in enumerate(page.lines, start=1):
            facts = {
                "class": "ocr_line",
                "id": f"line_{number}_{count}",
                "title": f"bbox {' '.join(map(str, _inside(line, page)))}; x_wconf {round(100 * line.score)}",
            }
            ElementTree.SubElement(sheet, "span", facts).text = line.text
            sheet[-1].tail = "\n"
    return "<!DOCTYPE html>\n" + ElementTree.tostring(html, encoding="unicode", method="xml") + "\n"


def as_alto(pages: Sequence[Page], title: str, language: str) -> str:
    """ALTO 4: one TextLine with one String a line."""
    ElementTree.register_namespace("", ALTO)
    root = ElementTree.Element(f"{{{ALTO}}}alto")
    about = _below(root, "Description")
    _below(about, "MeasurementUnit").text = "pixel"
    _below(_below(about, "sourceImageInformation"), "fileName").text = title
    layout = _below(root, "Layout")
    for number, page in enumerate(pages, start=1):
        height, width = page.image.shape[:2]
        sheet = {"ID": f"page_{number}", "PHYSICAL_IMG_NR": str(number)}
        sheet |= {"WIDTH": str(width), "HEIGHT": str(height), "LANG": language}
        space = {"HPOS": "0", "VPOS": "0", "WIDTH": str(width), "HEIGHT": str(height)}
        block = _below(_below(_below(layout, "Page", sheet), "PrintSpace", space), "TextBlock", space)
        block.set("ID", f"block_{number}")
        for count, line in enumerate(page.lines, start=1):
            left, top, right, bottom = _inside(line, page)
            place = {"HPOS": str(left), "VPOS": str(top)}
            place |= {"WIDTH": str(right - left), "HEIGHT": str(bottom - top)}
            row = _below(block, "TextLine", {"ID": f"line_{number}_{count}", **place})
            _below(row, "String", {"CONTENT": line.text, "WC": f"{line.score:.2f}", **place})
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _below(
    parent: ElementTree.Element, name: str, facts: dict[str, str] | None = None
) -> ElementTree.Element:
    return ElementTree.SubElement(parent, f"{{{ALTO}}}{name}", facts or {})


def _inside(line: Line, page: Page) -> tuple[int, int, int, int]:
    """The bounds of a line, cut to the page."""
    left, top, right, bottom = line.box.bounds
    height, width = page.image.shape[:2]
    return max(0, left), max(0, top), min(width, right), min(height, bottom)
