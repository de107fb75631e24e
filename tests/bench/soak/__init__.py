"""A long steady run of the whole machine: `make bench-soak MINUTES=20`. Does memory grow, does the lag?

The usual mix goes in at a steady rate; meanwhile memory and lag are looked at every few seconds. The slopes are those
of straight lines through what was seen after the first quarter, when caches and pools have filled. The figures stand in
`.local/bench/soak.json`, and of a run of 20 minutes or more at 1,000 events a second in `docs/performance.md`.
"""
