"""What a person sees while training: a live table in a terminal, a line per validation elsewhere."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

SHOWN = (
    ("validation growth", "validation_log_growth", "{:+.4f}"),
    ("validation drawdown", "validation_max_drawdown", "{:.2%}"),
    ("episode return", "episode_return", "{:+.4f}"),
    ("episode equity", "episode_equity", "{:.4f}"),
    ("episode drawdown", "episode_max_drawdown", "{:.2%}"),
    ("episode fees", "episode_fees", "{:.4f}"),
    ("policy loss", "policy_loss", "{:+.5f}"),
    ("value loss", "value_loss", "{:.5f}"),
    ("entropy", "entropy", "{:.4f}"),
    ("approximate KL", "approx_kl", "{:.5f}"),
    ("clipped share", "clip_fraction", "{:.2%}"),
    ("explained variance", "explained_variance", "{:+.3f}"),
    ("compilations", "compilations", "{:.0f}"),
)


class ProgressView:
    """Shows the newest figures; a context manager."""

    def __init__(self, total: int, done: int) -> None:
        self._console = Console()
        self._figures: dict[str, float] = {}
        self._progress = Progress(
            TextColumn("{task.description} update {task.completed:.0f}/{task.total:.0f}"),
            BarColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self._console,
        )
        self._task = self._progress.add_task("compiling", total=total, completed=done)
        self._live = Live(self._render(), console=self._console, refresh_per_second=4)
        self._terminal = self._console.is_terminal
        self._began = time.monotonic()
        self._first, self._total = done, total

    def __enter__(self) -> Self:
        if self._terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._terminal:
            self._live.update(self._render(), refresh=True)
            self._live.stop()

    def show(self, figures: dict[str, float]) -> None:
        """Show the figures of an update; those that it lacks keep their last value."""
        self._figures |= figures
        self._progress.update(self._task, completed=figures["update"], description="training")
        if self._terminal:
            self._live.update(self._render())
        elif "validation_log_growth" in figures:
            self.say(self._line(figures))

    def say(self, text: str) -> None:
        """Print a line; in a terminal, above the table."""
        self._console.print(text, highlight=False, soft_wrap=True)

    def _line(self, figures: dict[str, float]) -> str:
        done = figures["update"] - self._first
        left = (time.monotonic() - self._began) / max(done, 1) * (self._total - figures["update"])
        shown = ", ".join(
            f"{label} {form.format(self._figures[key])}" for label, key, form in SHOWN[:8] if key in self._figures
        )
        speed = figures["steps_per_second"]
        return f"update {figures['update']:.0f}/{self._total}  {speed:,.0f} steps/s  {left:.0f} s left  {shown}"

    def _render(self) -> Group:
        table = Table.grid(padding=(0, 2))
        cells = [(label, form.format(self._figures[key])) for label, key, form in SHOWN if key in self._figures]
        if "steps_per_second" in self._figures:
            cells.insert(0, ("steps a second", f"{self._figures['steps_per_second']:,.0f}"))
        for left, right in zip(cells[::2], [*cells[1::2], ("", "")], strict=False):
            table.add_row(left[0], left[1], right[0], right[1])
        return Group(self._progress, table)
