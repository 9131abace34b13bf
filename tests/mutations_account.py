"""Planted faults of the account: costs, fills, basis, delisting, financing, ruin; see `tests.mutations`."""

ACCOUNT = """
# jaxtrade/rules/costs.py

commission of the wrong side: the two rates stand side by side, and which of them a short pays first is easy to swap
- xp.where(buys, params.buy_rate, params.sell_rate) * size,
+ xp.where(buys, params.sell_rate, params.buy_rate) * size,

minimum commission ignored: most brokers that one tests with have none
- xp.where(size > 0, money(params, params.min_commission), xp.zeros_like(size)),
+ xp.zeros_like(size),

cap on sales dropped: a sale that costs more than it brings is rare
- return Costs(xp.where(buys, commission, capped), duty, spread, slippage)
+ return Costs(commission, duty, spread, slippage)

cap on purchases too: one line for both sides looks simpler
- return Costs(xp.where(buys, commission, capped), duty, spread, slippage)
+ return Costs(capped, duty, spread, slippage)

cap before the other costs: the cap is written before spread and duty are added
- xp.maximum(size - spread - slippage - duty, xp.zeros_like(size))
+ size

duty on the wrong side: stamp duty is paid by buyers in one country and by sellers in the next
- duty = xp.where(buys, params.duty_buy, params.duty_sell) * size
+ duty = xp.where(buys, params.duty_sell, params.duty_buy) * size

spread credited on sales: the signed value is used where its size was meant
- spread, slippage = params.half_spread * size, params.slippage * size
+ spread, slippage = params.half_spread * value, params.slippage * size

budget without costs: what the cash buys is taken to be the cash
- by_rate = budget / (1 + impact + params.buy_rate)
+ by_rate = budget

budget without the minimum commission: the second of two bounds on what a budget buys is left out
- value = xp.minimum(by_rate, by_minimum)
+ value = by_rate

borrow charged on longs: the fee is charged on the gross exposure
- short = xp.maximum(-account.position, xp.zeros_like(account.position))
+ short = xp.abs(account.position)

interest on positive cash: the same rate is applied whatever the sign of the cash
- xp.maximum(-account.cash, xp.zeros_like(account.cash))
+ xp.abs(account.cash)

interest with the wrong sign: interest on a debt is itself easily taken for a negative number
- return account._replace(cash=account.cash - (borrow + interest)), borrow, interest
+ return account._replace(cash=account.cash - (borrow - interest)), borrow, interest

borrow reported and not paid: the fee reaches the record and not the cash
- return account._replace(cash=account.cash - (borrow + interest)), borrow, interest
+ return account._replace(cash=account.cash - interest), borrow, interest

# jaxtrade/rules/types.py

slippage forgotten: the spread alone is what moves the price
- return self.spread + self.slippage
+ return self.spread

money not scaled by the capital: with a capital of 1 there is no difference
- return amount / params.capital[..., None]
+ return amount

gross nets shorts: the sum of positions stands for the sum of their sizes
- return xp.sum(xp.abs(account.position), axis=-1)
+ return xp.abs(xp.sum(account.position, axis=-1))

# jaxtrade/rules/accounting.py

fee of a sale omitted: the fee is reported and not paid
- cash=account.cash + (proceeds - costs.fees),
+ cash=account.cash + proceeds,

fee of a purchase omitted: the fee is reported and not paid
- cash=account.cash - (spent + costs.fees),
+ cash=account.cash - spent,

fee doubled: a fee for the round trip is charged on each of its halves
- cash=account.cash - (spent + costs.fees),
+ cash=account.cash - (spent + 2 * costs.fees),

spread credited: a cost is added to the proceeds
- proceeds = xp.sum(-reducing - costs.impact, axis=-1)
+ proceeds = xp.sum(-reducing + costs.impact, axis=-1)

spread left out of the basis: the basis is taken at the price of the market instead of the fill
- basis = account.basis + value + costs.impact
+ basis = account.basis + value

fees in the basis: some books do keep them there
- basis = account.basis + value + costs.impact
+ basis = account.basis + value + costs.impact + costs.fees

profit of a move with the wrong sign: the return is applied to the trade and not to the holding
- gain = account.position * change
+ gain = -account.position * change

income not paid by shorts: dividends are thought of as something one receives
- paid = xp.sum(account.position * income, axis=-1)
+ paid = xp.sum(xp.maximum(account.position, 0 * account.position) * income, axis=-1)

income not booked: the dividend is reported and does not reach the cash
- return account._replace(cash=account.cash + paid), paid
+ return account, paid

delisting recovery ignored: a delisted position is sold at its last mark, as survivors are
- cash=account.cash + xp.sum(gone * params.recovery, axis=-1),
+ cash=account.cash + xp.sum(gone, axis=-1),

delisting keeps the position: cash is paid and the worthless position stays
- position=xp.where(leaves, zero, account.position),
+ position=account.position,

delisting keeps the basis: the position goes and its cost stays
- basis=xp.where(leaves, zero, account.basis),
+ basis=account.basis,

delisting keeps the lots: the position goes and its lots bring it back
- lots=xp.where(leaves, zero, account.lots),
+ lots=account.lots,

basis not reduced: a sale leaves the cost of what was sold
- basis=kept,
+ basis=basis,

basis reduced by the proceeds: the market value of what was sold is released, not its share of the cost
- kept = xp.where(closes, zero, basis * (left / xp.where(position != 0, position, one)))
+ kept = xp.where(closes, zero, basis + reducing)

basis average wrong on a flip: the open profit of the old side is carried into the basis of the new one
- kept = xp.where(closes, zero, basis * (left / xp.where(position != 0, position, one)))
+ kept = xp.where(closes, basis + reducing, basis * (left / xp.where(position != 0, position, one)))

realised profit forgets the sign of the basis: right for longs only
- realized = proceeds - xp.sum(basis - kept, axis=-1)
+ realized = proceeds - xp.sum(xp.abs(basis - kept), axis=-1)

common share without fees: buying power is sized as if buying were free
- need = size + params.max_leverage * (costs.fees + costs.impact - reserved)
+ need = size

common share without the spread: of the costs only the fees are thought of
- need = size + params.max_leverage * (costs.fees + costs.impact - reserved)
+ need = size + params.max_leverage * (costs.fees - reserved)

common share ignores the reserve: a minimum commission does not shrink with the order
- reserved = xp.sum(xp.minimum(costs.commission, money(params, params.min_commission)), axis=-1)
+ reserved = xp.sum(xp.zeros_like(costs.commission), axis=-1)

common share reserves for symbols without an order: the minimum is summed over all symbols
- reserved = xp.sum(xp.minimum(costs.commission, money(params, params.min_commission)), axis=-1)
+ reserved = xp.sum(money(params, params.min_commission) + xp.zeros_like(costs.commission), axis=-1)

leverage limit ignored: what is ordered is filled
- return xp.clip(share, zero, one)
+ return one

leverage limit ignores what is held: the whole equity is free for new positions
- room = params.max_leverage * (equity_of(xp, account) - reserved) - gross_of(xp, account)
+ room = params.max_leverage * (equity_of(xp, account) - reserved)

first symbols first: orders are filled one after the other until the money is gone
- value, lots = increasing * affordable(xp, account, increasing, params)[..., None], zero
+ size = xp.abs(increasing)
+ most = xp.sum(size, axis=-1, keepdims=True) * affordable(xp, account, increasing, params)[..., None]
+ value, lots = xp.sign(increasing) * xp.clip(most - (xp.cumsum(size, axis=-1) - size), 0, size), zero

share of each symbol alone: every symbol is given the same part of the room, used or not
- value, lots = increasing * affordable(xp, account, increasing, params)[..., None], zero
+ size = xp.abs(increasing)
+ most = xp.mean(size, axis=-1, keepdims=True) * affordable(xp, account, increasing, params)[..., None]
+ value, lots = xp.sign(increasing) * xp.minimum(size, most), zero

what is left after scaling may be dust: small trades are dropped at the close only
- counts = worth(xp, value, dust, money(params, params.min_notional))
+ counts = value != 0

purchases sized before sales: the money of this bar's sales is not there yet
- then = increase_positions(xp, first.account, more, dust, unit, params)
+ first_share = affordable(xp, account, more, params)[..., None]
+ then = increase_positions(xp, first.account, more * first_share, dust, unit, params)

stale price of a purchase: the order fills at the mark it was sized at
- more = xp.where(fills, tickets.increasing * (1 + outcome.gap), zero)
+ more = xp.where(fills, tickets.increasing, zero)

stale price of a sale: the order fills at the mark it was sized at
- part = xp.where(fills, tickets.reducing * (1 + outcome.gap), zero)
+ part = xp.where(fills, tickets.reducing, zero)

next price of a purchase: the order fills at the mark after the open
- more = xp.where(fills, tickets.increasing * (1 + outcome.gap), zero)
+ more = xp.where(fills, tickets.increasing * (1 + outcome.gap) * (1 + outcome.move), zero)

gap with the wrong sign: quantities are converted back instead of forth
- part = xp.where(fills, tickets.reducing * (1 + outcome.gap), zero)
+ part = xp.where(fills, tickets.reducing * (1 - outcome.gap), zero)

missing open fills: without a price the last one is taken
- fills = outcome.can_fill & ~call
+ fills = ~call

orders of a called account fill: the margin call comes first, but the orders are still there
- fills = outcome.can_fill & ~call
+ fills = outcome.can_fill

blocked close closes: what closes is marked at the order and not at the fill
- closes = xp.where(call, account.position != 0, tickets.closes & fills)
+ closes = xp.where(call, account.position != 0, tickets.closes)

close leaves a residue: a close is a sale like any other, and rounding is forgotten
- closes = xp.where(call, account.position != 0, tickets.closes & fills)
+ closes = call & (account.position != 0)

margin call without proceeds: the size of the order is not replaced with the order
- part = xp.where(closes, -account.position, part)
+ part = xp.where(tickets.closes & fills, -account.position, part)

all-in without leverage: as much as the equity, not as much as the limit
- most = (params.max_leverage * equity_of(xp, first.account))[..., None]
+ most = equity_of(xp, first.account)[..., None]

all-in sized before the sales: the costs of what is closed first are not subtracted yet
- most = (params.max_leverage * equity_of(xp, first.account))[..., None]
+ most = (params.max_leverage * equity_of(xp, account))[..., None]

all-in sized at the close: the size of the close is kept when the market gaps
- more = xp.where(tickets.all_in, xp.sign(more) * most, more)
+ more = more + 0 * most

lots priced at the mark: the fill of whole lots uses the price of the end of the bar
- unit = lot_value(xp, xp.where(fills, outcome.fill_price, zero), params)
+ unit = lot_value(xp, xp.where(fills, outcome.mark, zero), params)

idle reset by liquidation only: the counter is cleared in one of the two places where trades happen
- idle = xp.where(value != 0, zero, account.idle + 1)
+ idle = xp.where(call & (value != 0), zero, account.idle + 1)

ruin only beyond the floor: at the floor exactly the account goes on
- return (equity <= params.ruin_floor) | (equity < params.maintenance_margin * gross_of(xp, account))
+ return (equity < params.ruin_floor) | (equity < params.maintenance_margin * gross_of(xp, account))

maintenance margin the wrong way: equity over gross or gross over equity, and which of them must be larger
- return (equity <= params.ruin_floor) | (equity < params.maintenance_margin * gross_of(xp, account))
+ return (equity <= params.ruin_floor) | (equity > params.maintenance_margin * gross_of(xp, account))

cash not clipped at ruin: a ruined account is left with its debt
- cash = xp.where(ruined, xp.maximum(account.cash, params.ruin_floor), account.cash)
+ cash = account.cash

ruin takes the last cash: what is left above the floor is set to the floor too
- cash = xp.where(ruined, xp.maximum(account.cash, params.ruin_floor), account.cash)
+ cash = xp.where(ruined, params.ruin_floor, account.cash)

shortfall not reported: the loss beyond the floor is absorbed and appears nowhere
- return account._replace(cash=cash), cash - account.cash
+ return account._replace(cash=cash), xp.zeros_like(cash)
"""
