"""
The JavaScript worker: scripts are read and run in a process that can be killed.
"""

from shplan.script.errors import Fault, ScriptError
from shplan.script.facts import InputFacts, OutputFacts, ScriptFacts
from shplan.script.limits import Limits
from shplan.script.worker import Worker

__all__ = [
    "Fault",
    "InputFacts",
    "Limits",
    "OutputFacts",
    "ScriptError",
    "ScriptFacts",
    "Worker",
]
