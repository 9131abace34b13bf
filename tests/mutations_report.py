"""Planted faults of the report; see `tests.mutations`."""

REPORT = """
# eval_bridge/report/thinning.py

thinning loses the troughs: only the largest of a bucket is kept
- kept.add(int(start + np.argmin(low[start:stop])))
+ kept.add(int(start))

thinning looks at the first curve alone: the others lose their peaks
- for column in series:
+ for column in series[:1]:

times in whole seconds: bars of milliseconds fall together
- np.asarray(time).astype("datetime64[ms]").astype(np.int64)
+ np.asarray(time).astype("datetime64[s]").astype(np.int64) * 1000

# eval_bridge/report/markup.py

text is not escaped: a symbol may hold a script
- return html.escape(str(value), quote=True)
+ return str(value)

data is not escaped: a symbol may end the element that it is written in
- for sign in "<>&":
+ for sign in "&":

labels of plots are not escaped: a symbol is read as markup
- return html.escape(str(value), quote=False)
+ return str(value)

# eval_bridge/report/page.py

the verdict is missing: a page of good figures needs none
- panels.verdict(evaluation),
+ "",

the warnings are missing: they are in metrics.json too
- panels.warnings(evaluation),
+ "",

no policy of the page: whatever is planted runs
- rules = f"default-src 'none'; script-src {allowed};
+ rules = f"script-src * 'unsafe-inline';

# eval_bridge/report/panels.py

reasons of undefined figures are lost: the hyphen says enough
- evaluation.undefined.get(figure.name, "Not defined")
+ "Not defined"

the first trades instead of the largest: the table is in order of time anyway
- largest = np.argsort(-table_["profit"].abs().fillna(0.0).to_numpy(), kind="stable")[:TRADES]
+ largest = np.arange(TRADES)

# eval_bridge/report/figures.py

a percentage that is a share: the hundred is forgotten
- text = f"{100 * value:,.2f}%"
+ text = f"{value:,.2f}%"

# eval_bridge/report/png.py

pictures differ from run to run: something of the process gets into the file
- metadata={"Software": None}
+ metadata={"Software": str(id(path))}
"""
