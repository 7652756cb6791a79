"""A language that nobody here knows: one YAML of its own, a font and words, and lines are drawn, learned and read."""

import gzip
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from shared.command.cli import train
from shared.config.root import ROOT
from shared.data.draws import SampleKey
from shared.errors import UserError
from shared.ocr.lines.fonts import find_fonts
from shared.ocr.reading.reader import Reader
from shared.ocr.script.charset import Charset
from shared.ocr.script.language import find_language, known
from shared.ocr.script.letter_model import decoder
from shared.ocr.script.metrics import error_rates
from shared.ocr.script.normalise import fold, normalise
from shared.serve.app import create_app
from shared.serve.limits import Limits
from shared.serve.service import Service
from tests.ocr.reading.tiny_net import line, stripes

WORDS = ["été", "cœur", "garçon", "forêt", "maïs", "déjà", "où", "noël", "âne", "l’eau", "pâté", "hôtel"]
ENTRY = {
    "name": "French",
    "tag": "fr",
    "script": "latin",
    "characters": [
        "abcdefghijklmnopqrstuvwxyz",
        "àâçéèêëîïôœùûü",
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        " '.,0123456789",
    ],
    "look_alikes": {"’": "'"},
    "words": "words.txt.gz",
    "fonts": "fonts",
    "page_font": "fonts/Sarabun_400Regular.ttf",
    "val_families": ["Prompt"],
    "phrases": {
        "digits": "0123456789",
        "country": "+33",
        "months": ["janvier", "août"],
        "marks": [" ", ", "],
        "brackets": ["''"],
        "patterns": ["{day} {month} {year}", "{word} {count}"],
    },
}


@pytest.fixture(scope="module")
def french(tmp_path_factory):
    """The entry's file, all that it names beside it."""
    folder = tmp_path_factory.mktemp("mine")
    (folder / "fonts").mkdir()
    for name in ("Sarabun_400Regular.ttf", "Prompt_300Light.ttf"):
        shutil.copy(ROOT / "assets" / "fonts" / "thai" / name, folder / "fonts")
    words = [f"{one}{other}" for one in WORDS for other in WORDS]
    (folder / "words.txt.gz").write_bytes(gzip.compress("\n".join(words).encode()))
    (folder / "french.yaml").write_text(yaml.safe_dump(ENTRY, allow_unicode=True), encoding="utf-8")
    return str(folder / "french.yaml")


def test_an_entry_says_all(french):
    language, charset = find_language(french), Charset.load(french)
    assert (language.name, language.tag, charset.language) == ("French", "fr", french)
    assert charset.decode(charset.encode("déjà")) == "déjà"
    assert len(find_fonts(language.fonts, language.characters)) == 2
    assert normalise(" e\u0301te\u0301  \u200bici ", french) == "été ici"
    assert fold("l’eau", french) == "l'eau"
    assert error_rates(["l’été"], ["l'e\u0301te\u0301"], french)["cer"] == 0


def test_its_words_help_to_read(french):
    """`oe` is as likely as `où` to the network, not to one who knows the words."""
    charset = Charset.load(french)
    scores = np.full((4, len(charset)), -9.0)
    for frame, letters in ((0, "o"), (2, "eù")):
        scores[frame, charset.encode(letters)] = 1.0
        scores[frame + 1, 0] = 1.0
    scores[2, charset.encode("e")] += 0.05
    best, search = (charset.decode(decoder(charset, beam)(scores)[0]) for beam in (1, 8))
    assert (best, search) == ("oe", "où")


def test_a_network_made_for_it_says_so_and_is_refused_for_another(french):
    model = stripes(language="french")
    reader = Reader(model, language=french)
    assert reader.charset.language == french and reader.read([line("ក")])[0].text == "ក"
    assert Reader(model).charset.language == "french"
    with pytest.raises(UserError, match="reads french"):
        Reader(model, language="thai")


def test_the_server_reads_it_and_its_page_names_it(french):
    service = Service(Reader(stripes(language="french"), language=french), "stripes", Limits())
    client = create_app(service).test_client()
    page = client.get("/").text
    assert "Read French text lines" in page and 'data-lang="fr"' in page
    assert client.get("/font.ttf").data == Path(find_language(french).page_font).read_bytes()
    assert client.get("/v1/models").json["models"][0]["language"] == "french"
    service.batcher.stop()


@pytest.fixture(scope="module")
def run(french, tmp_path_factory):
    return tmp_path_factory.mktemp("run") / "run"


def test_lines_of_it_are_drawn_learned_and_read(french, run, command, capsys):
    from projects.khmer_ocr.export import main as export

    settings = [
        "data.count=24",
        "data.val_count=8",
        "effective_batch_size=8",
        "hardware=cpu",
        "logger=tensorboard",
    ]
    network = ["model.channels=[8,16,32]", "model.blocks=[0,1,1]", "model.layers=1", "model.heads=2"]
    words = [f"data.charset={french}", *settings, *network, "trainer.max_epochs=1", f"run_dir={run}"]
    done = command(train, "khmer_ocr", *words)
    assert done.code == 0, done.err
    seen = done.summary["checkpoints"]["best"]
    export(str(seen), str(run / "french.onnx"), "fp32", "4")
    reader = Reader(run / "french.onnx", beam=8, language=french)
    assert reader.charset.characters == "".join(ENTRY["characters"])

    texts = [lines_of(french).val[SampleKey(0, index)]["text"] for index in range(8)]
    assert set("".join(texts)) <= set(reader.charset.characters) and any(
        set("éèêàçœ") & set(t) for t in texts
    )


def lines_of(french: str):
    import hydra

    with hydra.initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        cfg = hydra.compose("khmer_ocr", overrides=["run_dir=unused", f"data.charset={french}"])
    data = hydra.utils.instantiate(cfg.data)
    assert [{font.family for font in fonts} for fonts in data.families] == [{"Sarabun"}, {"Prompt"}]
    return data


def test_an_unknown_language_is_answered_with_those_that_are_known(command, tmp_path):
    assert known() == ["khmer", "thai"]
    with pytest.raises(UserError, match=r"no language 'lao' \(language\): choose khmer, thai, or give"):
        normalise("ກ", "lao")
    done = command(train, "khmer_ocr", "data.charset=lao", f"run_dir={tmp_path}")
    assert done.code == 2 and "khmer, thai" in done.err and len(done.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"tag": None}, "'tag' is missing"),
        ({"font": "x"}, "a language has no 'font'"),
        ({"characters": "abc"}, "no list of strings"),
        ({"characters": ["ab", "ca"]}, "stand twice"),
        ({"normalise": "burmese"}, "no rule 'burmese'"),
    ],
)
def test_a_broken_entry_is_named(french, tmp_path, change, said):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(ENTRY | change, allow_unicode=True), encoding="utf-8")
    with pytest.raises(UserError, match=said) as error:
        normalise("a", str(path))
    assert "mine.yaml" in str(error.value)


def test_the_shipped_entries_name_files_that_are_there():
    for language in map(find_language, known()):
        for path in (language.words, language.fonts, language.page_font, language.starter):
            assert (ROOT / path).exists(), path
        assert json.loads(json.dumps(language.phrases))["patterns"]
