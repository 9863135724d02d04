"""Mutated files: never an exception, never a message without a place, never an accepted file that does not lower."""

from __future__ import annotations

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from archc.tests.support.mutations import TEXTS, must_hold, mutate
from archc.tests.support.programs import EXAMPLES, FUZZ, fewer


@pytest.mark.parametrize("name", sorted(TEXTS))
@settings(fewer, max_examples=max(EXAMPLES // 40, 1))
@given(data=st.data())
def test_mutated_file(name: str, data: st.DataObject) -> None:
    text = TEXTS[name]
    for _ in range(data.draw(st.integers(1, 3))):
        text = mutate(text, lambda bound: data.draw(st.integers(0, bound - 1)))
    note(text)
    seconds = must_hold(name, text)
    assert seconds < 5 or not FUZZ
