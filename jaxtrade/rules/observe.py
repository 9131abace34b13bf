"""What a policy sees of its own account: scale-free, each field within [-1, 1], the same in both engines."""

from jaxtrade.rules.book import RuleBook
from jaxtrade.rules.types import Account, AccountView, Known, Namespace, RuleParams, equity_of, gross_of


def observe(xp: Namespace, book: RuleBook, account: Account, known: Known, params: RuleParams) -> AccountView:
    """Return the account part of the observation at the close of t.

    Per symbol: weight tanh(position / equity); unrealised return tanh(5 (position - basis) / |basis|), 0 when flat;
    idle n / (n + 20) for n bars since the last fill; tradable 0 or 1. Per account: cash share tanh(cash / equity);
    drawdown 1 - equity / peak; margin distance 1 - maintenance margin * gross / equity, within [0, 1];
    then tanh(scale * memory) of each accumulator of the reward.
    """
    equity = equity_of(xp, account)  # > 0: the ruin floor
    size = xp.abs(account.basis)
    unrealised = (account.position - account.basis) / xp.where(size > 0, size, xp.ones_like(size))
    assets = xp.stack(
        [
            xp.tanh(account.position / equity[..., None]),
            xp.tanh(5 * unrealised),
            account.idle / (account.idle + 20),
            xp.astype(known.tradable, account.cash.dtype),
        ],
        axis=-1,
    )
    margin_used = params.maintenance_margin * gross_of(xp, account) / equity
    summary = xp.stack(
        [
            xp.tanh(account.cash / equity),
            1 - equity / account.peak_equity,
            1 - xp.minimum(margin_used, xp.ones_like(margin_used)),
            *(xp.tanh(scale * value) for scale, value in zip(book.memory_scale, account.memory, strict=True)),
        ],
        axis=-1,
    )
    return AccountView(assets=assets, account=summary)
