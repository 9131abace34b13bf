"""Planted faults of the order of a bar, the rewards, the market and the environments; see `tests.mutations`."""

BARS = """
# jaxtrade/rules/advance.py

sized on what can fill: the open of tomorrow decides which orders are made today
- orders = book.decode(xp, action, account, known, params)
+ orders = book.decode(xp, action, account, known._replace(tradable=known.tradable & outcome.can_fill), params)

lots sized at the open: tomorrow's price is what the lots will cost
- tickets = limit(xp, orders, account, known, params, short=book.allow_short, lots=book.lots)
+ future = known._replace(close=outcome.fill_price)
+ tickets = limit(xp, orders, account, future, params, short=book.allow_short, lots=book.lots)

ruin check at the open skipped: one check a bar seems enough
- called = is_ruined(xp, account, params)
+ called = xp.zeros_like(account.cash) > 0

ruin check at the mark skipped: one check a bar seems enough
- ruined = called | is_ruined(xp, account, params)
+ ruined = called

called account recovers: what the check at the mark says replaces what the check at the open said
- ruined = called | is_ruined(xp, account, params)
+ ruined = is_ruined(xp, account, params)

lot anchor dropped: positions are marked by returns already
- account = anchor(xp, account, outcome.mark, params)
+ account = account._replace(lots=account.lots)

shortfall at the open forgotten: of two places that absorb a loss one is reported
- shortfall = missing_at_open + missing_at_mark
+ shortfall = missing_at_mark

gain counted twice: the profit of the move is added where the record is made and here
- pnl=record.pnl + gain + shortfall,
+ pnl=record.pnl + gain + gain + shortfall,

reward counted twice: the last reward is added when the episode ends
- record._replace(reward=reward)
+ record._replace(reward=xp.where(ruined, 2 * reward, reward))

reward memory not carried: the accumulators are computed and thrown away
- return account._replace(peak_equity=peak, memory=memory), record._replace(reward=reward)
+ return account._replace(peak_equity=peak), record._replace(reward=reward)

peak equity not updated: the drawdown is measured from the start
- peak = xp.maximum(before.peak_equity, record.equity)
+ peak = before.peak_equity

blocked counts everything: a missing open blocks even where nothing was ordered
- blocked=asks(tickets) & ~outcome.can_fill & ~called[..., None],
+ blocked=~outcome.can_fill & ~called[..., None],

blocked although called: orders that a margin call has replaced are counted too
- blocked=asks(tickets) & ~outcome.can_fill & ~called[..., None],
+ blocked=asks(tickets) & ~outcome.can_fill,

dividends of the open: the dividend is taken as a share of the price after the gap
- account, income = receive(xp, account, outcome.income)
+ account, income = receive(xp, account, outcome.income * (1 + outcome.gap))

financing skipped: a bar has a beginning and an end, and the night between them is forgotten
- account, borrow, interest = finance(xp, account, outcome.years, params)
+ borrow = interest = xp.zeros_like(account.cash)

financing on bars with trades only: financing is booked where trades are booked
- account, borrow, interest = finance(xp, account, outcome.years, params)
+ traded = xp.astype(xp.any(account.idle == 0, axis=-1), account.cash.dtype)
+ account, borrow, interest = finance(xp, account, outcome.years * traded, params)

financing where the market opens only: closed days are not counted
- account, borrow, interest = finance(xp, account, outcome.years, params)
+ opened = xp.astype(xp.any(outcome.can_fill, axis=-1), account.cash.dtype)
+ account, borrow, interest = finance(xp, account, outcome.years * opened, params)

turnover counts net: a rotation from one symbol to another is no turnover
- traded = xp.sum(xp.abs(opened.value) + xp.abs(closed.value), axis=-1)
+ traded = xp.abs(xp.sum(opened.value, axis=-1)) + xp.abs(xp.sum(closed.value, axis=-1))

turnover forgets liquidations: only orders are trades
- traded = xp.sum(xp.abs(opened.value) + xp.abs(closed.value), axis=-1)
+ traded = xp.sum(xp.abs(opened.value), axis=-1)

return on the equity after: the profit is set against the equity that already contains it
- equity_before, costs = equity_of(xp, before), opened.costs.plus(closed.costs)
+ equity_before, costs = equity_of(xp, after), opened.costs.plus(closed.costs)

costs of a liquidation not recorded: they are paid and not reported
- equity_before, costs = equity_of(xp, before), opened.costs.plus(closed.costs)
+ equity_before, costs = equity_of(xp, before), opened.costs

# jaxtrade/rules/rewards.py

log return of the wrong base: the profit is set against the capital of the start
- xp.log1p(xp.maximum(r, half))
+ xp.log1p(xp.maximum(record.pnl, half))

reward weights ignored: with one reward of weight 1 there is no difference
- total = total + params.weights[..., number] * reward
+ total = total + reward

rewards share their memory: the first accumulators are given to every reward
- own = memory[len(after) : len(after) + len(part.start)]
+ own = memory[: len(part.start)]

losses rewarded: the loss is counted with the weight of gains
- params.gain_weight * gains - params.loss_weight * losses
+ params.gain_weight * gains - params.gain_weight * losses

Sharpe without its mean: the deviation is measured from zero
- error = r - mean
+ error = r

# jaxtrade/rules/book.py

memory starts at zero: the first value of an accumulator is not always 0
- memory = tuple(one * value for value in book.memory)
+ memory = tuple(0 * one for value in book.memory)

# jaxtrade/market/table.py

same close fills at the next open: the comparison with older systems fills as the default does
- price = bars.open[1:] if fill == "next_open" else bars.close[:-1]
+ price = bars.open[1:]

fill at the next close: the price of the end of the bar is the price of the bar
- price = bars.open[1:] if fill == "next_open" else bars.close[:-1]
+ price = bars.close[1:] if fill == "next_open" else bars.close[:-1]

fill at the open of the same bar: the order is filled before it was made
- price = bars.open[1:] if fill == "next_open" else bars.close[:-1]
+ price = bars.open[:-1] if fill == "next_open" else bars.close[:-1]

mark uses the open when a close exists: the first column of prices is the first that is looked at
- price = np.where(np.isfinite(bars.close), bars.close, bars.open)
+ price = np.where(np.isfinite(bars.open), bars.open, bars.close)

years shifted by one bar: a difference belongs to the bar before it or to the bar after it
- years=with_end(np.diff(bars.time) / YEAR),
+ years=np.insert(np.diff(bars.time) / YEAR, 0, np.nan),

years of trading days: a year has 252 of them
- YEAR = np.timedelta64(365, "D")  # of financing rates
+ YEAR = np.timedelta64(252, "D")

gap counted in the move: the return of the whole bar is applied after that of its gap
- move=with_end(np.where(listed, after / start - 1, 0.0)),
+ move=with_end(np.where(listed, after / before - 1, 0.0)),

delisted symbols fill at their last close: under same_close the price is there
- can_fill = np.isfinite(price) & listed & ~leaves
+ can_fill = np.isfinite(price) & listed

delisted one bar early: a gap of four bars at the end is a delisting
- return np.asarray((rows == last) & (last < len(priced) - DELISTED_AFTER))
+ return np.asarray((rows == last) & (last <= len(priced) - DELISTED_AFTER))

# jaxtrade/assemble.py

duty of the other side: the configuration names the side that pays, not the one that is spared
- duty_buy=duty * (costs.stamp_duty_side != "sell"),
+ duty_buy=duty * (costs.stamp_duty_side != "buy"),

# jaxtrade/envs/trading.py

costs drawn the same everywhere: the key of the reset does not reach the draw
- share = jax.random.uniform(jax.random.fold_in(key, stream), (), low.dtype)
+ share = jax.random.uniform(jax.random.key(stream), (), low.dtype)

costs drawn together: one random number serves for all that is drawn
- share = jax.random.uniform(jax.random.fold_in(key, stream), (), low.dtype)
+ share = jax.random.uniform(key, (), low.dtype)

drawn costs unused: the middle of the range is what is charged
- rules = params.rules._replace(**state.drawn)
+ rules = params.rules

# jaxtrade/envs/stats.py

return counted twice: the last reward is added again at the end
- episode_return=stats.episode_return + record.reward,
+ episode_return=stats.episode_return + jnp.where(record.ruined, 2 * record.reward, record.reward),

# train/rollout.py

reset leaks the memory: a fresh account keeps the accumulators of the ruined one
- where_lane(ruined, new, old), fresh, env_state)
+ where_lane(ruined, new, old),
+     fresh.replace(account=fresh.account._replace(memory=env_state.account.memory)), env_state)

reset leaks the idle bars: a fresh account keeps the counters of the ruined one
- where_lane(ruined, new, old), fresh, env_state)
+ where_lane(ruined, new, old),
+     fresh.replace(account=fresh.account._replace(idle=env_state.account.idle)), env_state)

reset leaks the peak: the drawdown of a fresh account is that of the ruined one
- where_lane(ruined, new, old), fresh, env_state)
+ where_lane(ruined, new, old),
+     fresh.replace(account=fresh.account._replace(peak_equity=env_state.account.peak_equity)), env_state)

reset keeps the costs drawn: the numbers of a life are those of the one before
- where_lane(ruined, new, old), fresh, env_state)
+ where_lane(ruined, new, old), fresh.replace(drawn=env_state.drawn), env_state)

# train/learner.py

reset leaks the position: an account that jumps to another segment takes its holdings along
- where_lane(ended, new, old), fresh, env_state)
+ where_lane(ended, new, old),
+     fresh.replace(account=fresh.account._replace(position=env_state.account.position)), env_state)

# train/state.py

accounts draw the same costs: one key serves all accounts of the batch
- keys = jax.random.split(key, (bar.shape[0], setup.accounts))
+ keys = jnp.broadcast_to(key, (bar.shape[0], setup.accounts))
"""
