"""Layers of other frameworks, transcribed into items."""

from dsl.transcribe.calls import Transcript, transcribed

__all__ = ["Transcript", "transcribed"]
