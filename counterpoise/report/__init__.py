"""The pages that people read: words, summaries, figures and templates of a study's report.

Contract: everything here is a pure function of a study's tables (`counterpoise.judging.results`) and verdicts
(`counterpoise.judging.verdicts`); `counterpoise.stages.report` reads the files and writes the page. A page is one file:
its style and its figures are inside, and it asks for nothing from a network.
"""
