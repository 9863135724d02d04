"""Layers of other frameworks, transcribed into items."""

from dsl.transcribe.calls import Transcript, transcribed
from dsl.transcribe.explicit import Defaults, defaults_in
from dsl.transcribe.incoming import Incoming

__all__ = ["Defaults", "Incoming", "Transcript", "defaults_in", "transcribed"]
