"""performance.json: on what a run was trained, how fast, and where the time and the memory went."""

import json
import sys

from train.callbacks.base import Callback, RunInfo


class Performance(Callback):
    """Writes the performance of this start of a run, and tells the main figures in a line."""

    def on_end(self, run: RunInfo) -> None:
        """Write what the loop has measured."""
        about = run.about
        seconds, done = about["seconds"], about["updates"]["to"] - about["updates"]["from"]
        if not done:
            return
        text = json.dumps(about, indent=2) + "\n"
        (run.folder / "performance.json").write_text(text, encoding="utf-8")
        total = max(seconds["total"], 1e-9)
        shares = ", ".join(f"{name} {each / total:.0%}" for name, each in seconds.items() if name != "total")
        sys.stdout.write(
            f"performance: {done} updates in {total:,.1f} s ({shares}), "
            f"{about['samples_per_second']['chunk']:,.0f} steps/s in chunks, "
            f"{about['memory']['process_peak_bytes'] / 1e9:.2f} GB at most; see performance.json\n"
        )
