/** The style sheet of the report. Colours are variables (style.ts). */
export const PAGE_STYLE = `
*{box-sizing:border-box}
html{color-scheme:light dark;-webkit-text-size-adjust:100%}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
header,main{max-width:1120px;margin:0 auto;padding:0 24px}
header{padding-top:48px}
h1{font-size:clamp(1.6rem,4vw,2.3rem);line-height:1.15;letter-spacing:-.015em;margin:0 0 12px;text-wrap:balance}
h2{font-size:1.3rem;line-height:1.25;letter-spacing:-.01em;margin:0 0 6px}
h3{font-size:1.02rem;line-height:1.35;margin:0 0 4px}
p{margin:0 0 10px;max-width:74ch}
.lead{font-size:1.08rem;color:var(--soft)}
a{color:inherit;text-decoration-color:var(--rule);text-underline-offset:3px}
a:hover{text-decoration-color:currentColor}
.facts{display:grid;grid-template-columns:repeat(auto-fill,minmax(300px,1fr));gap:6px 28px;margin:20px 0 0;padding:14px 0;border-block:1px solid var(--rule);font-size:.86rem}
.facts div{display:flex;gap:10px;min-width:0}
.facts dt{color:var(--soft);flex:0 0 5em}
.facts dd{margin:0;overflow-wrap:anywhere}
section{margin:44px 0 0}
.says{font-size:1.02rem}
.note{font-size:.86rem;color:var(--soft)}
.verdict{border-left:3px solid var(--transformer);padding:2px 0 2px 18px;margin:16px 0 24px}
.verdict.good{border-color:var(--float)}
.verdict.part{border-color:var(--ternary)}
.verdict.none{border-color:var(--rule)}
.verdict .word{font-size:1.15rem;font-weight:650;margin-bottom:6px}
.evidence{font-size:.88rem;color:var(--soft);list-style:none;margin:0;padding:0;display:flex;flex-wrap:wrap;gap:2px 22px}
.pair{display:grid;grid-template-columns:minmax(0,1.05fr) minmax(0,1fr);gap:24px;align-items:start;margin:14px 0}
.single{margin:14px 0}
.single .drawing{max-width:570px;margin-bottom:18px}
.drawing{background:var(--card);border:1px solid var(--rule);border-radius:6px;padding:8px}
.chart{display:block;width:100%;height:auto}
.table{overflow-x:auto;font-size:.84rem;max-width:100%}
.table:focus-visible{outline:2px solid var(--ternary);outline-offset:3px}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;width:100%}
.caption{color:var(--soft);font-size:.84rem;margin:0 0 6px}
th,td{padding:5px 10px 5px 0;text-align:right;vertical-align:top;border-bottom:1px solid var(--grid)}
th:first-child{text-align:left;font-weight:500}
thead th{font-weight:600;color:var(--soft);border-color:var(--rule);vertical-align:bottom;line-height:1.3}
td small{display:block;color:var(--soft);font-size:.92em;white-space:nowrap}
td a,tbody th,thead span{white-space:nowrap}
.all td.id{text-align:left;white-space:nowrap}
.all tr:target{background:var(--wash)}
summary{cursor:pointer;color:var(--soft)}
li{max-width:74ch}
main{padding-bottom:72px}
@media (max-width:860px){.pair{grid-template-columns:minmax(0,1fr)}header,main{padding-inline:14px}header{padding-top:26px}section{margin-top:36px}.drawing{padding:4px;margin-inline:-6px}}
@media print{.drawing,table{break-inside:avoid}}
`.trim();
