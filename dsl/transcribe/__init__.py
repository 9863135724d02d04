"""Translation of the layers of other frameworks to items."""

from archc.dsl.transcribe.calls import Transcript, transcribed
from archc.dsl.transcribe.explicit import Defaults, defaults_in
from archc.dsl.transcribe.incoming import Incoming

__all__ = ["Defaults", "Incoming", "Transcript", "defaults_in", "transcribed"]
