"""What a person looks at: a page that holds everything and opens offline, and pictures.

`render_report(evaluation)` and `render_comparison(comparison)` return HTML, `write_plots(evaluation, folder)` writes
PNG. `eval_bridge.report.figures` writes figures as text, for a console too: `format_figure(value, kind)`, and
`HEADLINE`, the names of those that matter most. Nothing here computes a figure of an evaluation.
"""

from eval_bridge.report.comparison import render_comparison
from eval_bridge.report.figures import format_figure
from eval_bridge.report.page import render_report
from eval_bridge.report.png import write_plots

__all__ = ["format_figure", "render_comparison", "render_report", "write_plots"]
