"""The examples in docstrings of the OCR say what the code does."""

import doctest
import importlib
import pkgutil

import pytest

import shared.ocr

MODULES = sorted(each.name for each in pkgutil.walk_packages(shared.ocr.__path__, "shared.ocr."))


@pytest.mark.parametrize("name", MODULES)
def test_examples_hold(name):
    assert doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS).failed == 0


def test_there_are_some():
    finder = doctest.DocTestFinder()
    found = [test for name in MODULES for test in finder.find(importlib.import_module(name)) if test.examples]
    assert len(found) >= 8
