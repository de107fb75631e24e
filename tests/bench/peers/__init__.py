"""The same toy job by ours and by the frameworks that a Python user would pick instead: `make bench-peers`.

toy.py says the job, load.py makes the events, and each entrant is one file. Every entrant runs as one process in an
environment of its own (requirements/, .local/peers), so its file may import only its framework, the standard library,
toy.py, place.py and, for PostgreSQL, postgres.py.

A run: a fresh process is started at a place of its own (topics, group, database, folder). The clock starts when the
first event is in the entrant's hands (it makes a file), and stops when the last effect is *safe*: durable.py reads,
from outside, the place from which the entrant would go on after a kill, and it lies behind the last event. Then the
process is killed (SIGKILL), and what is left of its counters and alerts is held against what the events come to. An
entrant that is wrong in one household has no figures.

To add an entrant: its file, `requirements/<name>.in` and `make lock`, and a row in entrants.py.
"""
