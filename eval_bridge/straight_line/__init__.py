"""The rules of one account as straight-line Python: recorded once per backtest, written out, run at every bar.

The recorded operations are those of `jaxtrade.rules`, in their order, so there is still one rule book
(docs/adr/0007-the-backtester-runs-a-recording-of-the-rules.md).
"""
