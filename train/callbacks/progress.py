"""What a person sees while training: a live table in a terminal, a line per validation elsewhere."""

import sys
import time

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Table

from train.callbacks.base import Callback, Row, RunInfo, StepInfo

SHOWN = (
    ("validation growth", "validation_log_growth", "{:+.4f}"),
    ("validation drawdown", "validation_max_drawdown", "{:.2%}"),
    ("validation return", "validation_return", "{:+.4g}"),
    ("episode return", "episode_return", "{:+.4g}"),
    ("episode equity", "episode_equity", "{:.4f}"),
    ("episode drawdown", "episode_max_drawdown", "{:.2%}"),
    ("episode fees", "episode_fees", "{:.4f}"),
    ("episode length", "episode_length", "{:.4g}"),
    ("policy loss", "policy_loss", "{:+.5f}"),
    ("value loss", "value_loss", "{:.5f}"),
    ("entropy", "entropy", "{:.4f}"),
    ("approximate KL", "approx_kl", "{:.5f}"),
    ("clipped share", "clip_fraction", "{:.2%}"),
    ("explained variance", "explained_variance", "{:+.3f}"),
    ("compilations", "compilations", "{:.0f}"),
)
IN_A_LINE = 6  # of the above, as far as there are any
QUIET_SECONDS = 60.0  # outside a terminal: the longest time without a line


class Progress(Callback):
    """Shows the newest figures; those that an update lacks keep their last value."""

    def on_start(self, run: RunInfo) -> None:
        """Open the view."""
        self._figures: Row = {}
        self._run, self._began = run, time.monotonic()
        self._said = self._began
        console = Console()
        self._bar = Bar(
            TextColumn("{task.description} update {task.completed:.0f}/{task.total:.0f}"),
            BarColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
        )
        self._task = self._bar.add_task("training", total=run.updates, completed=run.done)
        self._live = Live(self._render(), console=console, refresh_per_second=4) if console.is_terminal else None
        if self._live is not None:
            self._live.start()

    def on_chunk(self, step: StepInfo) -> None:
        """Show the newest update."""
        for row, timing in zip(step.rows, step.timing, strict=True):
            self._figures |= row | timing
        self._bar.update(self._task, completed=step.update)
        if self._live is not None:
            self._live.update(self._render())
        elif step.validation is not None or time.monotonic() - self._said > QUIET_SECONDS:
            self._said = time.monotonic()
            sys.stdout.write(self._line(step.update) + "\n")
            sys.stdout.flush()

    def on_end(self, run: RunInfo) -> None:
        """Close the view, which stays on the screen."""
        if self._live is not None:
            self._live.update(self._render(), refresh=True)
            self._live.stop()

    def _line(self, update: int) -> str:
        left = (time.monotonic() - self._began) / max(update - self._run.done, 1) * (self._run.updates - update)
        known = [(label, form.format(self._figures[key])) for label, key, form in SHOWN if key in self._figures]
        shown = ", ".join(f"{label} {text}" for label, text in known[:IN_A_LINE])
        speed = self._figures["steps_per_second"]
        return f"update {update}/{self._run.updates}  {speed:,.0f} steps/s  {left:.0f} s left  {shown}"

    def _render(self) -> Group:
        table = Table.grid(padding=(0, 2))
        cells = [(label, form.format(self._figures[key])) for label, key, form in SHOWN if key in self._figures]
        if "steps_per_second" in self._figures:
            cells.insert(0, ("steps a second", f"{self._figures['steps_per_second']:,.0f}"))
        for left, right in zip(cells[::2], [*cells[1::2], ("", "")], strict=False):
            table.add_row(left[0], left[1], right[0], right[1])
        return Group(self._bar, table)
