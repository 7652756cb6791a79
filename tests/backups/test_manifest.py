"""Manifests are read as untrusted input."""

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.backups.manifest import Corrupt, Entry, Manifest


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", "c:x", "a\\x", ""])
def test_a_manifest_cannot_reach_outside(name):
    entry = Entry("data-0123456789abcdef-x", 1, "0" * 64)
    with pytest.raises(ValueError, match=r"^files must stay"):
        Manifest(1, {name: entry})
    with pytest.raises(ValueError, match=r"^files must stay"):
        Manifest(1, {"x": Entry("../secret", 1, "0" * 64)})
    body = json.dumps({"files": {name: vars(entry)}, "info": {}, "number": 1}, indent=1, sort_keys=True)
    digest = hashlib.sha256(body.encode()).hexdigest()
    with pytest.raises(Corrupt):
        Manifest.from_json(f'{{"sha256": "{digest}",\n"backup": {body}}}\n'.encode())


@given(st.binary(max_size=60) | st.sampled_from([b"[]", b'{"backup": 1}', b"[" * 100_000]))
def test_garbage_is_no_manifest(text):
    with pytest.raises(Corrupt):
        Manifest.from_json(text)
