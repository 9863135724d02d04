"""Mutated files: never an exception, never a message without a place."""

from __future__ import annotations

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from archc.tests.support.mutations import TEXTS, must_hold, mutated
from archc.tests.support.programs import EXAMPLES, fewer


@pytest.mark.thorough
@pytest.mark.parametrize("name", sorted(TEXTS))
@settings(fewer, max_examples=max(EXAMPLES // 400, 1))
@given(data=st.data())
def test_mutated_file(name: str, data: st.DataObject) -> None:
    text = mutated(name, data)
    note(text)
    must_hold(name, text)
