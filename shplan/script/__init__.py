"""
The JavaScript worker: scripts are read and run in a process that can be killed.

What renders pixels is in `shplan.script.rendering`, which loads numpy.
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
