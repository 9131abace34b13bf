"""Planted faults: mistakes that someone could make in the rules, each a small change of their source text.

`python -m tests.mutate` plants them one by one in a copy of the packages and names the test that notices. The text
after `- ` must occur exactly once in the file; the text after `+ ` replaces it.
"""

from pathlib import Path
from typing import NamedTuple

from tests.helpers.planting import ROOT
from tests.mutations_account import ACCOUNT
from tests.mutations_bars import BARS
from tests.mutations_books import BOOKS
from tests.mutations_commands import COMMANDS
from tests.mutations_data import DATA
from tests.mutations_honesty import HONESTY
from tests.mutations_inference import INFERENCE
from tests.mutations_learner import LEARNER
from tests.mutations_metrics import METRICS
from tests.mutations_orders import ORDERS
from tests.mutations_phases import PHASES
from tests.mutations_programme import PROGRAMME
from tests.mutations_programme_page import PROGRAMME_PAGE
from tests.mutations_programme_run import PROGRAMME_RUN
from tests.mutations_referee import REFEREE
from tests.mutations_relay import RELAY
from tests.mutations_report import REPORT
from tests.mutations_spread import SPREAD
from tests.mutations_windows import WINDOWS


class Mutation(NamedTuple):
    """One planted fault."""

    name: str
    file: str
    old: str
    new: str
    why: str  # someone could make that mistake


def parse(text: str) -> list[Mutation]:
    """Read blocks of `name: why`, `- old` and `+ new` lines below a `# file`."""
    found, file = [], ""
    for block in text.strip().split("\n\n"):
        if block.startswith("# "):
            file = block.removeprefix("# ")
            continue
        head, *lines = block.splitlines()
        old, new = ([line[2:] for line in lines if line.startswith(sign)] for sign in ("- ", "+ "))
        name, why = head.split(": ", 1)
        found.append(Mutation(name, file, "\n".join(old), "\n".join(new), why))
    return found


def mutated(mutation: Mutation, root: Path = ROOT) -> str:
    """Return the text of the file with the fault; empty where the text to replace is not found exactly once."""
    text = (root / mutation.file).read_text("utf-8")
    if text.count(mutation.old) != 1:
        return ""
    line = text[: text.index(mutation.old)].rpartition("\n")[2]
    indent = "\n" + " " * (len(line) - len(line.lstrip()))
    return text.replace(mutation.old, mutation.new.replace("\n", indent))


RULES_AND_DATA, TRAINING = (
    (ACCOUNT, ORDERS, BARS, DATA, WINDOWS),
    (LEARNER, PHASES, PROGRAMME, PROGRAMME_PAGE, PROGRAMME_RUN, REFEREE, SPREAD),
)
BRIDGE = (BOOKS, METRICS, HONESTY, COMMANDS, INFERENCE, REPORT, RELAY)
MUTATIONS = [each for text in (*RULES_AND_DATA, *TRAINING, *BRIDGE) for each in parse(text)]
