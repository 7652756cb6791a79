import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import UserError
from shared.ocr.script.charset import Charset

KHMER = Charset.load("khmer")


@pytest.mark.parametrize("name", ["khmer", "thai"])
def test_classes_are_one_to_one(name):
    charset = Charset.load(name)
    assert len(charset) == len(set(charset.characters)) + 1
    assert charset.decode(charset.encode(charset.characters)) == charset.characters


@given(st.text(st.sampled_from(KHMER.characters)))
def test_what_is_encoded_decodes(text):
    assert KHMER.decode(KHMER.encode(text)) == text
    assert not KHMER.missing(text)


def test_unknown_characters_are_named():
    assert KHMER.missing("កA漢é") == {"漢", "é"}
    with pytest.raises(KeyError):
        KHMER.encode("漢")


@pytest.mark.parametrize(
    "content", ["- a\n- b\n", "script: khmer\n", "script: khmer\ncharacters: [ab, ca]\n", "a: [\n"]
)
def test_a_broken_file_is_refused(tmp_path, content):
    path = tmp_path / "mine.yaml"
    path.write_text(content)
    with pytest.raises(UserError, match=r"mine\.yaml"):
        Charset.load(str(path))


def test_an_unknown_name_lists_the_known():
    with pytest.raises(UserError, match="khmer, thai"):
        Charset.load("klingon")
