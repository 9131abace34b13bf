"""The embedded sample: the daily bars that ship inside the package arch."""

import importlib.util
from pathlib import Path

from jaxtrade.errors import did_you_mean
from jaxtrade.market.reading import Finding

SAMPLES = {"nasdaq": ("nasdaq",), "sp500": ("sp500",), "both": ("nasdaq", "sp500")}


def sample_files(name: str) -> list[tuple[Path, str]]:
    """Return the file and symbol of each series of a sample.

    Raises:
        InputError: There is no such sample, or arch is not installed.
    """
    where = f"sample:{name}"
    if name not in SAMPLES:
        raise Finding("E-DATA-001", where, f"no such sample ({did_you_mean(name, SAMPLES)}), which").error()
    spec = importlib.util.find_spec("arch")  # found, not imported: importing arch.data takes seconds
    if spec is None or spec.origin is None:
        what = "the package arch, which ships the sample, is not installed (pip install arch), which"
        raise Finding("E-DATA-012", where, what).error()
    root = Path(spec.origin).parent / "data"
    return [(root / symbol / f"{symbol}.csv.gz", symbol) for symbol in SAMPLES[name]]
