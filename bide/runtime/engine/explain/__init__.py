"""Why is it not running? One true sentence for every state of a run and of a task instance (D5, C77).

Pure: what is known comes in as plain facts, `now` included; a `Why` comes out. Facts that only a
living runtime has (the last look of a wait, the resource that refused a task) may be absent, and
the sentence then says what the database alone can tell.
"""

from bide.runtime.engine.explain.beside import starts_when
from bide.runtime.engine.explain.facts import (
    Asked,
    Behind,
    InstanceFacts,
    Late,
    Look,
    Progress,
    Refusal,
    RunFacts,
    Upstream,
    WaitFacts,
    Why,
)
from bide.runtime.engine.explain.instance import explain_instance
from bide.runtime.engine.explain.run import explain_run
from bide.runtime.engine.explain.words import instant_words, progress_words, span_words

__all__ = [
    "Asked",
    "Behind",
    "InstanceFacts",
    "Late",
    "Look",
    "Progress",
    "Refusal",
    "RunFacts",
    "Upstream",
    "WaitFacts",
    "Why",
    "explain_instance",
    "explain_run",
    "instant_words",
    "progress_words",
    "span_words",
    "starts_when",
]
