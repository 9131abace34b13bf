"""The market, on the host in float64: bars from files, causal features, and the table that both engines index."""
