"""The page in a real browser: images chosen, dropped and refused, by day and by night."""

import base64
import shutil

import pytest
import requests

from scripts.serve import find_model
from shared.config.root import ROOT
from shared.errors import UserError
from shared.ocr.script.language import find_language
from tests.scripts.serving import served

playwright = pytest.importorskip("playwright.sync_api")
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(not BROWSER, reason="no Chromium on this machine")
DROP = """([name, data]) => {
    const bytes = Uint8Array.from(atob(data), letter => letter.charCodeAt(0));
    const transfer = new DataTransfer();
    transfer.items.add(new File([bytes], name, {type: "image/png"}));
    document.getElementById("drop").dispatchEvent(
        new DragEvent("drop", {bubbles: true, cancelable: true, dataTransfer: transfer}));
}"""


@pytest.fixture(scope="module", params=["khmer", "thai"])
def server(request):
    try:
        find_model(find_language(request.param), "")
    except UserError as error:
        pytest.skip(str(error))
    with served(language=request.param) as (address, _):
        yield address, sorted((ROOT / "docs" / "samples" / request.param).glob("*.png"))


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(params=["light", "dark"])
def page(request, browser, server):
    context = browser.new_context(color_scheme=request.param, viewport={"width": 720, "height": 900})
    page = context.new_page()
    page.faults, page.elsewhere = [], []
    page.on("console", lambda message: message.type == "error" and page.faults.append(message.text))
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.on(
        "request",
        lambda sent: sent.url.startswith(("blob:", "data:", server[0])) or page.elsewhere.append(sent.url),
    )
    page.goto(server[0])
    yield page
    assert (page.faults, page.elsewhere) == ([], [])
    context.close()


def text_of(address: str, path) -> str:
    answer = requests.post(f"{address}/v1/recognize", files={"image": path.open("rb")}, timeout=30)
    return answer.json()["results"][0]["text"]


def test_a_dropped_image_is_read(page, server, tmp_path):
    address, lines = server
    page.evaluate(DROP, [lines[0].name, base64.b64encode(lines[0].read_bytes()).decode()])
    playwright.expect(page.locator(".text")).to_have_text(text_of(address, lines[0]))
    assert page.locator(".text").get_attribute("lang") in ("th", "km")
    assert page.locator("#results img").evaluate("image => image.naturalWidth") > 0
    assert page.evaluate("document.fonts.ready.then(all => [...all].every(font => font.status == 'loaded'))")
    page.screenshot(path=tmp_path / "dropped.png")


def test_chosen_images_are_read_and_a_bad_one_is_named(page, server, tmp_path):
    address, lines = server
    bad = tmp_path / "bad <b>image.png"
    bad.write_bytes(b"no image")
    page.set_input_files("#files", [lines[1], bad, lines[2]])
    playwright.expect(page.get_by_role("status")).to_have_text("Read 2 of 3.")
    texts = [text_of(address, lines[1]), text_of(address, lines[2])]
    assert page.locator(".text").all_inner_texts() == texts
    assert "bad <b>image.png: not an image" in page.locator(".wrong").inner_text()
    page.screenshot(path=tmp_path / "chosen.png")


def test_too_much_at_once_is_not_sent(page, server):
    page.set_input_files("#files", [server[1][0]] * 33)
    playwright.expect(page.get_by_role("status")).to_contain_text("32 images")


def test_the_keyboard_reaches_the_files(page):
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "files"


def test_ink_stands_out_from_the_ground(page):
    """WCAG 2: contrast of text to background at least 4.5 : 1."""
    colours = page.evaluate(
        """() => ["body", "#hint", "footer"].map(name => getComputedStyle(document.querySelector(name)).color)
        .concat(getComputedStyle(document.body).backgroundColor)"""
    )
    *inks, ground = [luminance(colour) for colour in colours]
    for ink in inks:
        assert (max(ink, ground) + 0.05) / (min(ink, ground) + 0.05) >= 4.5


def luminance(colour: str) -> float:
    parts = [int(part) / 255 for part in colour[4:-1].split(",")]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
