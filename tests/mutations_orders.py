"""Planted faults of the orders: how actions are read, limited and rounded; see `tests.mutations`."""

ORDERS = """
# jaxtrade/rules/actions.py

dead band not strict: an action on its edge trades
- return xp.abs(xp.astype(number, xp.float32)) > xp.astype(params.dead_band, xp.float32)
+ return xp.abs(xp.astype(number, xp.float32)) >= xp.astype(params.dead_band, xp.float32)

dead band in double precision: 0.1 in float32 is not 0.1
- return xp.abs(xp.astype(number, xp.float32)) > xp.astype(params.dead_band, xp.float32)
+ return xp.abs(xp.astype(number, params.dead_band.dtype)) > params.dead_band

action not clipped: the policy is trusted to stay in its range
- xp.astype(xp.clip(xp.where(finite, action, xp.zeros_like(action)), low, high), xp.float32), finite
+ xp.astype(xp.where(finite, action, xp.zeros_like(action)), xp.float32), finite

NaN action trades: what is not a number is taken for the largest
- xp.where(finite, action, xp.zeros_like(action)), low, high)
+ xp.where(finite, action, xp.ones_like(action)), low, high)

NaN weight closes: a missing weight is a weight of 0
- close_out = valid & known.tradable & (weight == 0) & (account.position != 0)
+ close_out = known.tradable & (weight == 0) & (account.position != 0)

rejected weights counted: a weight that cannot be taken still leaves less for the others
- xp.where(rejected, xp.zeros_like(weight), xp.abs(weight))
+ xp.abs(weight)

untradable weights not rejected: they are dropped and not counted
- rejected = ~valid | (asked & ~known.tradable)
+ rejected = ~valid

untradable not rejected: the order is dropped and not counted
- close_out=xp.zeros_like(finite), rejected=~finite | (wanted & ~known.tradable))
+ close_out=xp.zeros_like(finite), rejected=~finite)

untradable trades: a symbol without a price is bought at its last one
- value = xp.where(wanted & known.tradable, size, xp.zeros_like(size))
+ value = xp.where(wanted, size, xp.zeros_like(size))

sells one step too much: the fifth of nine actions is a quarter
- xp.where(sell, number - 4, number)
+ xp.where(sell, number - 3, number)

weights not scaled down: more than the leverage limit is left to the fill to cut
- weight = weight * xp.where(counted > most, most / xp.where(counted > 0, counted, one), one)
+ weight = weight * one

weights always scaled up: weights are normalised to the leverage limit, cash or not
- weight = weight * xp.where(counted > most, most / xp.where(counted > 0, counted, one), one)
+ weight = weight * xp.where(counted > 0, most / xp.where(counted > 0, counted, one), one)

weights of the cash: what is held already is not counted
- value = xp.where(wanted, weight * equity - account.position, xp.zeros_like(weight))
+ value = xp.where(wanted, weight * account.cash[..., None] - account.position, xp.zeros_like(weight))

positions by the next number: exposures are counted from one
- weight = xp.where(number == index, weight + exposure, weight)
+ weight = xp.where(number == index + 1, weight + exposure, weight)

# jaxtrade/rules/limits.py

closing without dust: what rounding leaves of a position is not closed with it
- xp.abs(orders.value) >= xp.abs(position) - dust
+ xp.abs(orders.value) > xp.abs(position) + dust

same side closes: an order as large as the position closes it, whatever its side
- closes = (orders.close_out | (opposite & reaches)) & (position != 0)
+ closes = (orders.close_out | reaches) & (position != 0)

minimum notional blocks a full close: the check is made for every order
- keep, more = parts.closes | worth(xp, parts.reducing, dust, smallest)
+ keep, more = worth(xp, parts.reducing, dust, smallest)

minimum notional ignored: brokers that one tests with have none
- return (xp.abs(value) > dust) & (xp.abs(value) >= smallest)
+ return xp.abs(value) > dust

minimum notional of a purchase is signed: a short is below every minimum
- return (xp.abs(value) > dust) & (xp.abs(value) >= smallest)
+ return (xp.abs(value) > dust) & (value >= smallest)

dust trades: what only rounding leaves counts as a trade
- return (xp.abs(value) > dust) & (xp.abs(value) >= smallest)
+ return (value != 0) & (xp.abs(value) >= smallest)

trade limit blocks a reduction: the limit is applied before the order is split at zero
- parts = _split_at_zero(xp, orders, account, dust, unit, params)
+ parts = _split_at_zero(xp, orders, account, dust, unit, params)
+ most = params.max_trade * equity
+ parts = parts._replace(reducing=xp.clip(parts.reducing, -most, most))

trade limit ignored: one of three bounds is left out
- most = xp.minimum(xp.minimum(xp.abs(asked), params.max_trade * equity), room)
+ most = xp.minimum(xp.abs(asked), room)

position limit ignored: one of three bounds is left out
- most = xp.minimum(xp.minimum(xp.abs(asked), params.max_trade * equity), room)
+ most = xp.minimum(xp.abs(asked), params.max_trade * equity)

position limit forgets what is held: the limit is read as one on the order
- room = xp.maximum(params.max_position * equity - left, xp.zeros_like(left))
+ room = params.max_position * equity + 0 * left

position limit counts the old side: a flip is measured against the position that it closes
- xp.abs(account.position + parts.reducing), equity
+ xp.abs(account.position), equity

short allowed when forbidden: a sale beyond the holding is split at zero and its rest forgotten
- asked = xp.maximum(asked, xp.zeros_like(asked))
+ asked = asked + xp.zeros_like(asked)

short never allowed: the flag is ignored
- if not short:
+ if True:

all-in beats the limits: its size at the fill replaces what the limits left
- orders.all_in & uncut & more
+ orders.all_in & more

all-in forgets the other side: its size at the close does not cover what must be closed first
- nominal = sign * (held + params.max_leverage[..., None] * equity)
+ nominal = sign * params.max_leverage[..., None] * equity

flip of lots stops at zero: all lots of the order are taken for the part that reduces
- lots = xp.where(closes, -account.lots, xp.where(opposite, whole, zero))
+ lots = xp.where(opposite, whole, zero)

sale of all lots does not close: one lot more must be sold
- xp.abs(whole) >= xp.abs(account.lots)
+ xp.abs(whole) > xp.abs(account.lots)

# jaxtrade/rules/lots.py

lots rounded to nearest: half a lot too many is bought with money that is not there
- return xp.sign(amount) * xp.floor(lots + slack)
+ return xp.sign(amount) * xp.floor(lots + 0.5)

floor without slack: 9.9999999 lots are 9, in one of the two precisions
- return xp.sign(amount) * xp.floor(lots + slack)
+ return xp.sign(amount) * xp.floor(lots)

floor instead of truncation: a sale of half a lot becomes one lot
- return xp.sign(amount) * xp.floor(lots + slack)
+ return xp.floor(amount / unit + slack)

slack without bound: for large orders a millionth is more than a lot
- slack = xp.minimum(1e-6 * lots, 0.25 * xp.ones_like(lots))
+ slack = 1e-6 * lots
"""
