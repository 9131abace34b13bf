"""What programme_summary.json holds, key by key; the table in docs/programme.md is made from these texts."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Figure = float | None  # null where it is not defined


class Part(BaseModel):
    """A part of the summary; keys that a later version may add are passed over."""

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)


class Steps(Part):
    """Steps of the environment, those of all candidates together."""

    plain: int
    """What the plain schedule takes: total_timesteps, in every iteration."""
    planned: int
    """What was planned: the plain schedule, shortened by adaptive timesteps."""
    done: int
    """What was done, early stops considered."""
    saved: int
    """plain less done."""


class Updates(Part):
    """Updates of an iteration."""

    plain: int
    """Of the plain schedule."""
    planned: int
    """After adaptive timesteps."""
    done: int
    """Until the last candidate stopped."""


class Ranges(Part):
    """Times of the first and last bar of an iteration's ranges, ISO 8601, UTC."""

    train: tuple[str, str]
    """Bars that the parameters and the scaler are fitted on."""
    validation: tuple[str, str]
    """Bars by which the winner is chosen."""
    test: tuple[str, str]
    """Bars that the winner trades out of sample."""


class Knobs(Part):
    """What the phase of an iteration sets."""

    learning_rate: float
    """Factor on ppo.learning_rate."""
    entropy_weight: float
    """Factor on ppo.entropy_weight."""
    epochs: int
    """Passes over the samples of an update."""


class CandidateValidation(Part):
    """The validations of a candidate."""

    log_growth: Figure
    """Best log growth over the validation range."""
    update: int | None
    """Update at which it was reached."""
    validations: int
    """How often it was validated."""


class CandidateResult(Part):
    """What a candidate did in an iteration."""

    candidate: int
    """Number, from 0."""
    seed: int
    """Seed of its training."""
    settings: dict[str, Any]
    """What is varied, by dotted key."""
    validation: CandidateValidation
    """Its validations."""
    stopped_at: int | None
    """Update at which it was stopped early; null if it was not."""


class Interval(Part):
    """The distribution of the candidates' best validation log growths."""

    iqm: Figure
    """Interquartile mean."""
    low: Figure
    """Lower end of its interval; null for fewer than two candidates."""
    high: Figure
    """Upper end of its interval."""
    level: float
    """Level of the interval, 0.95."""


class Winner(Part):
    """The candidate whose policy trades out of sample."""

    candidate: int
    """Its number."""
    update: int
    """Update of the policy."""
    log_growth: Figure
    """Its log growth over the validation range, in the compiled environment."""
    exact_log_growth: Figure
    """The same in the stateful backtester."""


class Leg(Part):
    """One window's part of the stitched out-of-sample backtest."""

    log_growth: Figure
    """Log growth of the account while the window's winner decided."""
    sharpe: Figure
    """Sharpe ratio a year."""
    max_drawdown: Figure
    """Largest fall below the peak of these bars, as a share."""
    trades: int | None
    """Trades entered."""


class IterationTiming(Part):
    """Wall clock of an iteration."""

    seconds: Figure
    """All of it."""
    training_seconds: Figure
    """In updates."""
    validation_seconds: Figure
    """In validations."""
    setup_seconds: Figure
    """Reading, compiling, exporting: what is neither."""
    compilations: int | None
    """Programs compiled."""


class Iteration(Part):
    """One window: trained, validated, and traded out of sample."""

    iteration: int
    """Number, from 1."""
    folder: str
    """Run folder, inside the programme's."""
    phase: str | None
    """Phase of the schedule; null without one."""
    start: Literal["cold", "warm"]
    """cold: fresh parameters. warm: the best policy so far."""
    ranges: Ranges
    """Its ranges."""
    knobs: Knobs
    """What its phase sets."""
    updates: Updates
    """Updates of a candidate."""
    steps: Steps
    """Steps of all candidates together."""
    early_stopped: int
    """Candidates that were stopped early."""
    warm_started: bool
    """Whether `start` is warm."""
    candidates: list[CandidateResult]
    """Every candidate, in order."""
    validation: Interval
    """All candidates together."""
    winner: Winner
    """The one whose policy is exported."""
    out_of_sample: Leg | None
    """Its leg of the stitched backtest; null while the programme is not finished."""
    policy_sha256: str | None
    """Hash of the exported policy."""
    timing: IterationTiming
    """Wall clock."""


class TotalTiming(Part):
    """Wall clock of the programme."""

    seconds: Figure
    """All of it, restarts included."""
    estimated_plain_seconds: Figure
    """What the plain schedule would have taken, estimated from what was measured."""
    speedup: Figure
    """estimated_plain_seconds / seconds."""
    compilations: int | None
    """Programs compiled."""
    resumed: int
    """How often it was resumed."""


class Totals(Part):
    """All iterations together."""

    steps: Steps
    """Steps."""
    early_stops: int
    """Candidate trainings stopped early."""
    warm_starts: int
    """Candidate trainings that began warm."""
    starts: int
    """Candidate trainings."""
    validation: Interval
    """Over iterations and candidates, stratified."""
    timing: TotalTiming
    """Wall clock."""


class Overfitting(Part):
    """The probability of backtest overfitting, by CSCV over the candidates."""

    probability: Figure
    """How often the best in sample is below the median out of sample; null where it is not defined."""
    blocks: int | None
    """Blocks that the bars are cut into."""
    strategies: int | None
    """Candidates compared."""
    why: str | None
    """Why there is none; else null."""


class OutOfSample(Part):
    """The stitched backtest over all test ranges."""

    log_growth: Figure
    """Log growth of the account."""
    total_return: Figure
    """Its return."""
    sharpe: Figure
    """Sharpe ratio a year."""
    max_drawdown: Figure
    """Largest fall below the peak, as a share."""
    buy_and_hold_return: Figure = None
    """Return of buying at the first of these bars and holding."""
    begin: str = Field(alias="from")
    """Time of its first bar."""
    until: str
    """Time of its last bar."""


class Honesty(Part):
    """What speaks for skill and for luck (docs/honesty.md)."""

    trials: int
    """Policies tried on these data, as the ledger counts them."""
    p_value: Figure
    """Declared p-value."""
    verdict: str
    """The line that stands beside every result."""
    significant: bool
    """Whether it says that there is evidence of skill."""
    deflated_sharpe: Figure
    """Deflated Sharpe ratio, as a probability."""
    probabilistic_sharpe: Figure
    """Probabilistic Sharpe ratio."""
    overfitting: Overfitting
    """The probability of backtest overfitting."""
    out_of_sample: OutOfSample
    """The stitched backtest."""


class Summary(Part):
    """The whole file."""

    version: Literal[1] = Field(alias="schema")
    """Version of this format."""
    name: str
    """Name of the programme."""
    data: str
    """Where the bars come from."""
    symbols: list[str]
    """What is traded."""
    network: str
    """Kind of network."""
    seed: int
    """Seed of the programme."""
    finished: bool
    """Whether all iterations are done and the stitched backtest is."""
    planned_iterations: int | None = None
    """Iterations of the finished programme."""
    candidates: int
    """K: candidates of an iteration."""
    settings: list[dict[str, Any]]
    """[K] what is varied, by dotted key."""
    seeds: list[int]
    """[K] seeds."""
    switches: dict[str, bool]
    """The six optimisations, on or off."""
    schedule: str | None
    """Name of the schedule of phases; null without one."""
    iterations: list[Iteration]
    """Those that are done, in order."""
    totals: Totals
    """All of them together."""
    honesty: Honesty | None
    """The judgement of the stitched backtest; null while the programme is not finished."""
