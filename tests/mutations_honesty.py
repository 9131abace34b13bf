"""Planted faults of what tells skill from luck; see `tests.mutations`."""

HONESTY = """
# eval_bridge/honesty/sharpe.py

excess kurtosis: the library's kurtosis is taken as it comes
- kurtosis(returns) + 3)
+ kurtosis(returns))

T for T - 1: the standard error of every other statistic
- (sample.bars - 1) / sample.variance
+ sample.bars / sample.variance

skew with the wrong sign: losses in the tail look like a virtue
- 1 - self.skew * self.sharpe
+ 1 + self.skew * self.sharpe

natural logarithm's base forgotten: the second quantile is the first
- inv_cdf(1 - 1 / (trials * math.e))
+ inv_cdf(1 - 1 / trials)

alike trials make luck small: the variance on record is believed
- return max(found, 1 / max(bars - 1, 1))
+ return found if len(sharpes) >= 2 else 1 / max(bars - 1, 1)

# eval_bridge/honesty/overfitting.py

in sample twice: the rank is looked up where the best was chosen
- inside, outside = _sharpes(cut, chosen), _sharpes(cut, ~chosen)
+ inside, outside = _sharpes(cut, chosen), _sharpes(cut, chosen)

# eval_bridge/honesty/shift.py

a p-value of zero: the plus one is forgotten
- return float((1 + np.sum(null >= observed - tie)) / (1 + len(null)))
+ return float(np.sum(null >= observed - tie) / len(null))

ties for the policy: strictly greater is counted
- null >= observed - tie
+ null > observed + tie

the start is flat: a shifted path waits for the policy's next trade
- boundary = (shifts > 0) & ((step == 0) | (source == 0))
+ boundary = (shifts > 0) & (source == 0)

shifted by one more: shift 0 is another path
- source = (step - shifts) % bars
+ source = (step - shifts - 1) % bars

# eval_bridge/honesty/path.py

weights at the price of the fill: the gap is forgotten
- intended = (before + fill / (1 + gap)) / equity
+ intended = (before + fill) / equity

# eval_bridge/honesty/weights.py

the weight is a hyperbolic tangent: the view is read as it is
- return np.asarray(np.arctanh(view.assets[..., 0]))
+ return np.asarray(view.assets[..., 0])

# eval_bridge/honesty/random_rule.py

opening counted as a change: random traders trade too often
- wanted = float(np.sum(path.turnover)) - opening
+ wanted = float(np.sum(path.turnover)) + opening

# eval_bridge/honesty/baselines.py

momentum looks at the next bar: the table has it
- np.sign(table.mark[bar] - table.mark[past[bar]])
+ np.sign(table.mark[bar + 1] - table.mark[past[bar]])

# eval_bridge/honesty/bootstrap.py

single bars: blocks of one keep no dependence
- return max(min(math.ceil(longest), bars // 4), 1)
+ return 1

# eval_bridge/honesty/superior.py

gains for losses: arch takes the worst for the best
- hansen = SPA(-benchmark, -models,
+ hansen = SPA(benchmark, models,

# eval_bridge/honesty/verdict.py

the smaller of two: one test passed is enough
- max(null.p_value, 1 - deflated)
+ min(null.p_value, 1 - deflated)

trials forgotten: the probabilistic Sharpe ratio is not deflated
- if trials.count > 1:
+ if False:

ruin may be skill: the flag asks for the p-value alone
- luck.p_value <= SIGNIFICANT and not path.ruined
+ luck.p_value <= 1

# jaxtrade/trials.py

every run is a result: the same bundle counts again and again
- if policy_sha256 in _results(read(path), data_sha256, range):
+ if False:

results of other bars count: the range is not compared
- (entry.event, entry.data_sha256, entry.range) == ("result", data_sha256, tuple(range))
+ (entry.event, entry.data_sha256) == ("result", data_sha256)
"""
