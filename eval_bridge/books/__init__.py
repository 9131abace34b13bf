"""The books of a backtest: the ledger, and what happened as tables of trades, orders, positions and equity."""
