"""What a programme records in the trial ledger, each thing once, however often it is interrupted.

Every start of a candidate, cold or warm, is a trial, and so is every early stop: it was decided by looking at a
validation. A resume after a kill repeats what was done to the last bit, decides nothing, and is no trial.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jaxtrade import trials
from jaxtrade.market.splits import Range
from train.config import TrainConfig
from train.programme.config import Candidate, with_values


class Trial(NamedTuple):
    """An iteration, for the ledger."""

    run: str
    config: TrainConfig
    data_sha256: str
    validation: Range


def about(trial: Trial, number: int, candidate: Candidate) -> trials.Fields:
    """Return what identifies a candidate's training."""
    config = with_values(trial.config, candidate.settings | {"seed": candidate.seed})
    text = json.dumps([number, config.model_dump(mode="json")], sort_keys=True)
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    return trials.Fields(run=trial.run, data_sha256=trial.data_sha256, config_sha256=sha256)


def record_starts(ledger: Path, lineup: Sequence[Candidate], trial: Trial, cold: bool) -> None:
    """Record the start of every candidate."""
    for number, candidate in enumerate(lineup):
        detail = {"candidate": number, **candidate._asdict(), "start": "cold" if cold else "warm"}
        trials.record_once(ledger, "train", **about(trial, number, candidate), detail=detail)


def record_stops(ledger: Path, lineup: Sequence[Candidate], trial: Trial, result: dict[str, Any]) -> None:
    """Record how every candidate did in the validation range, and every early stop."""
    place = trials.Fields(split="validation", range=(trial.validation.first, trial.validation.last))
    for number, (candidate, each) in enumerate(zip(lineup, result["candidates"], strict=True)):
        fields, detail = about(trial, number, candidate), {"candidate": number, **each["validation"]}
        trials.record_once(ledger, "validate", **fields, **place, detail=detail)
        if each["stopped_at"]:
            stop = {"candidate": number, "update": each["stopped_at"]}
            trials.record_once(ledger, "early-stop", **fields, detail=stop)
