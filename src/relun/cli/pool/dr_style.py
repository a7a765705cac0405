"""The style sheet of a DR test's report: light and dark, wide and narrow, on paper."""

# All colours of text have a contrast of 4.5 or more with both backgrounds they stand on.
STYLE = """
:root { color-scheme: light dark; --back: #ffffff; --box: #f4f6f8; --text: #1b1f24;
  --weak: #4d565f; --line: #d0d7de; --good: #0f5c2e; --bad: #a40e26; }
@media (prefers-color-scheme: dark) {
  :root { --back: #0f1419; --box: #1a2129; --text: #e6edf3; --weak: #a5afb9;
    --line: #39424d; --good: #6fdd8b; --bad: #ff9b94; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 80rem; background: var(--back);
  color: var(--text); font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: break-word; }
h1 { margin: 0; font-size: 1.8rem; line-height: 1.2; }
h2 { margin: 2.5rem 0 .75rem; font-size: 1.2rem; }
.kind { margin: 0; color: var(--weak); }
.verdict { margin: 1rem 0 0; padding: .75rem 1rem; background: var(--box); font-size: 1.2rem;
  border-left: .35rem solid; font-weight: 600; }
td .ok, td .bad, .time { white-space: nowrap; }
.ok { color: var(--good); } .bad { color: var(--bad); }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(16rem, 1fr)); gap: .75rem;
  margin: 0; }
dl > div { padding: .6rem .8rem; background: var(--box); border-radius: .3rem; }
dt { color: var(--weak); font-size: .9rem; } dd { margin: 0; font-weight: 600;
  overflow-wrap: anywhere; }
table { width: 100%; border-collapse: collapse; font-size: .95rem; }
caption { text-align: left; color: var(--weak); padding-bottom: .4rem; }
th, td { padding: .5rem .6rem; text-align: left; vertical-align: top;
  border-top: 1px solid var(--line); }
thead th { white-space: nowrap; color: var(--weak); font-weight: 600; border-top: 0; }
tbody th { font-weight: 600; }
code { font: .85rem/1.4 ui-monospace, monospace; overflow-wrap: anywhere; }
th > code { display: block; font-weight: 400; }
.more { display: block; color: var(--weak); font-weight: 400; font-size: .9rem; }
footer { margin-top: 2.5rem; color: var(--weak); font-size: .9rem; }
@media (max-width: 60rem) {
  body { overflow-wrap: anywhere; }
  table, caption, tbody, tr, th, td { display: block; width: 100%; }
  thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  tr { padding: .5rem 0; border-top: 1px solid var(--line); }
  th, td { padding: .2rem 0; border-top: 0; }
  td { display: grid; grid-template-columns: 8.5rem 1fr; gap: .75rem; }
  td::before { content: attr(data-name); color: var(--weak); }
}
@media print { tr, dl > div { break-inside: avoid; } body { max-width: none; } }
"""
