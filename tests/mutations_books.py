"""Planted faults of the backtester's books, its order log and its clock; see `tests.mutations`."""

BOOKS = """
# eval_bridge/books/ledger.py

newest lot first under the name of the oldest: the end of a list is where one usually takes from
- self._next = -1 if method == "lifo" else 0
+ self._next = 0 if method == "lifo" else -1

fees of the entry not carried by the lot: the fee account has them already
- terms += (price, bar, fees / abs(quantity), gap)
+ terms += (price, bar, 0.0, gap)

delisting charged as slippage: the price paid is off the last mark either way
- if kind == DELISTING:
+ if False:

average of the two prices: the weights are forgotten
- share = quantity / (have + quantity)
+ share = 0.5

lot not made smaller: the trade is booked and the lot stays
- lots[end] = (have - part, entry)
+ lots[end] = (have, entry)

a limit in money: one unit of the currency instead of a share of the equity
- here, charged, limit = self.equity(prices), self._charged, TOLERANCE * max(1.0, abs(equity))
+ here, charged, limit = self.equity(prices), self._charged, max(1.0, abs(equity))

exit loss not compared: what is recovered is in the cash already
- + abs(self.exit_loss - charged[4])
+ + abs(0.0 * charged[4])

# eval_bridge/books/booking.py

seller pays the asked price: bid and asked exchanged
- paid = np.where(fills > 0, self.asked[at], self.bid[at])
+ paid = np.where(fills > 0, self.bid[at], self.asked[at])

# eval_bridge/books/trades.py

range of the bar of the exit seen at its open: one bar too many, and the excursion knows the future
- whole = {DELISTING: False, LIQUIDATION: at_close or not called, "": True}.get(trade.closed_by, at_close)
+ whole = True

excursion of a short as of a long: the sign is forgotten
- adverse, favourable = np.where(signed > 0, down, -up), np.where(signed > 0, up, -down)
+ adverse, favourable = down, up

# eval_bridge/books/constraints.py

orders of the account after the bar: the decision is logged with the positions that it led to
- account = _map(lambda start, after: np.concatenate([start, after[:-1]]), fresh, result.accounts)
+ account = result.accounts

all-in orders bound by funds: they are never filled in full
- flags["funds"] &= ~orders.all_in
+ flags["funds"] &= True | orders.all_in

# eval_bridge/books/positions.py

row before its bar: figures of the bars are laid beside the marks that they start from
- return np.concatenate([[start], np.asarray(values, np.float64)])
+ return np.concatenate([np.asarray(values, np.float64), [start]])

# eval_bridge/delay.py

delay one short: the action is taken from the queue before its own is put in
- waiting = deque([hold_action(config, symbols)] * delay)
+ waiting = deque([hold_action(config, symbols)] * (delay - 1))

# eval_bridge/backtester.py

view of the bar before: the cached account is shown again
- self._state, self._view = row[: len(self._state)], None
+ self._state = row[: len(self._state)]

# jaxtrade/rules/accounting.py

fee of the opening part of a flip not told by symbol: the sum is right, the symbol's share is not
- first.fees + then.fees,
+ first.fees,
"""
