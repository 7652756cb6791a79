"""Trial and training lists as people write them, and what is refused in them."""

import codecs
import re

import pytest

from projects.voxceleb.trials.trials import read_trials
from shared.errors import UserError

PAIRS = [("a/u/1.wav", "a/v/1.wav", True), ("a/u/1.wav", "b/u/1.wav", False)]


def lines(separator=" ", end="\n", quote=""):
    rows = [(str(int(same)), f"{quote}{a}{quote}", f"{quote}{b}{quote}") for a, b, same in PAIRS]
    return "".join(separator.join(row) + end for row in rows)


READ = {
    "plain": lines().encode(),
    "tabs": lines("\t").encode(),
    "many blanks": lines("   ").encode(),
    "windows": lines(end="\r\n").encode(),
    "old macs": lines(end="\r").encode(),
    "no last line end": lines().rstrip().encode(),
    "blank lines": lines(end="\n\n  \n").encode(),
    "a mark": codecs.BOM_UTF8 + lines().encode(),
    "utf-16": lines(end="\r\n").encode("utf-16"),
    "utf-16, big end first": codecs.BOM_UTF16_BE + lines().encode("utf-16-be"),
    "quotes": lines(quote='"').encode(),
    "backslashes": lines().replace("/", "\\").encode(),
    "a dot": lines().replace(" a", " ./a").replace(" b", " ./b").encode(),
    "blanks at the ends": ("  " + lines(end="  \n")).encode(),
}


def pairs(path):
    trials = read_trials(path)
    return [
        (trials.utterances[a], trials.utterances[b], bool(same))
        for (a, b), same in zip(trials.pairs, trials.target, strict=True)
    ]


@pytest.mark.parametrize("case", READ)
def test_lists_of_any_hand_are_the_same(tmp_path, case):
    (tmp_path / "t.txt").write_bytes(READ[case])
    assert pairs(tmp_path / "t.txt") == PAIRS


@pytest.mark.parametrize("form", ['1 "{a}" "{b}"', "1\t{a}\t{b}", "1 {a} {b}"])
@pytest.mark.parametrize(
    "a, b",
    [
        ("my voice/1.wav", "b/u/1.wav"),
        ("a/1.wav", "other voice/2 b.WAV"),
        ("/abs/a b/1.flac", "/abs/c d/1.flac"),
    ],
)
def test_names_may_hold_blanks(tmp_path, form, a, b):
    (tmp_path / "t.txt").write_text(form.format(a=a, b=b) + "\n0 x.wav y.wav\n")
    assert pairs(tmp_path / "t.txt")[0] == (a, b, True)


REFUSED = {
    "empty": (b"", "not both kinds"),
    "blank": (b"\n \r\n\t\n", "not both kinds"),
    "only targets": (b"1 a.wav b.wav\n", "not both kinds"),
    "only impostors": (b"0 a.wav b.wav\n", "not both kinds"),
    "two words": (b"1 a.wav\n", "line 1 is no trial: 1 a.wav"),
    "four words": (b"0 a b\n1 a b c\n", "line 2 is no trial.*tabs where names have spaces"),
    "blank lines count": (b"\n\n0 a b\n\n1 a\n", "line 5 is no trial"),
    "another label": (b"2 a b\n", "line 1"),
    "words as labels": (b"target a b\n", "line 1"),
    "label last": (b"a.wav b.wav 1\n", "line 1"),
    "commas": (b"1,a.wav,b.wav\n", "line 1"),
    "a comment": (b"# trials\n1 a b\n", "line 1"),
    "a web page": (b"<!DOCTYPE html>\n<html>\n", "line 1"),
    "latin-1": ("1 é.wav b.wav\n0 é.wav c.wav\n".encode("latin-1"), "no text in UTF-8: byte 2"),
    "binary": (bytes(range(128, 256)), "no text in UTF-8"),
    "zeros": (bytes(300), "line 1"),
    "a picture": (b"\x89PNG\r\n\x1a\n\0\0", "no text in UTF-8"),
    "half of utf-16": (codecs.BOM_UTF16_LE + b"1\0 \0a", "no text in UTF-8"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_list_of_trials_is_refused_by_line(tmp_path, case):
    data, why = REFUSED[case]
    (tmp_path / "t.txt").write_bytes(data)
    with pytest.raises(UserError, match=why) as caught:
        read_trials(tmp_path / "t.txt")
    assert re.search(r"t\.txt", str(caught.value)) and "\n" not in str(caught.value)


def test_a_folder_in_its_place_is_named(tmp_path):
    with pytest.raises(UserError, match=r"Is a directory.*data\.trials"):
        read_trials(tmp_path)
