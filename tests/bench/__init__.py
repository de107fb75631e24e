"""The project's speed, told as ratios to ceilings measured in the same run: `make bench`, `make bench-quick`.

A *line* is one figure: name, value, unit, and beside it its ceiling, the same work with as little as possible around
it (no Kafka, or no decoding, or the database alone). Ours and the ceiling are measured in turn, A/B/A/B, and the
median of the rounds counts: a machine that is slow today slows both, so the ratio holds where the value does not.

How to add a line
-----------------
1. In a file under `lines/`, declare it and write the coroutine that measures it:

       ACCEPTED = Line(
           "ingest.accepted_per_second", "events/s", "one event a request; ceiling: the same answered without Kafka",
           quick=True, goal=Goal(ratio=0.5),
       )

       async def measure(bench: Bench) -> Mapping[Line, Rounds]:
           platform = await bench.platform()                # starts Kafka and PostgreSQL when the first line asks
           async with platform.place() as place:            # a database and topics of its own; place.environment
               async with platform.service("ingest", place) as ingest:    # the real `shouwang-ingest serve`
                   await ingest.wait_ready()
                   return {ACCEPTED: await bench.alternate(lambda: ours(ingest.base_url), lambda: ceiling(...))}

       MEASUREMENTS = [Measurement([ACCEPTED], measure)]

   One measurement may give several lines that share their rounds (return `Rounds(values, ceilings, remark)` for each);
   `bench.wants(LINE)` tells whether anybody asked for one that costs extra.
2. Add the file's MEASUREMENTS to the list in `lines/__init__.py`. The line's name is then a choice of LINES.
3. Sizes go through `bench.scaled(400_000, quick=150_000)`, so that SCALE=0.01 tries a line in seconds.

`bench.alternate(ours, ceiling)` calls each once a round; both return the figure itself. `call_times` does the same for
plain functions that take microseconds. What is dear to make, and the same for all rounds, goes through `bench.kept`; a
database is made once and copied by `platform.place(template=...)`. `Program.cpu_seconds` and `peak_memory_mb` are read
from /proc. `Line.says` must tell what the figure is worth and what the ceiling is.

Raise to fail: the reason is printed, the other lines still run, and the exit status is 1. Nothing here asserts a time.

Where the lines' worlds are: `scoring/` a scorer and its ceilings, `edge/` ingest and its ceilings, `house/` the whole
machine with people and receivers, `soak/` the same for a long time (a command of its own: `make bench-soak`).

What a run leaves: `.local/bench/latest.json`; and at full size (no SCALE, not quick) its lines in
`docs/performance.json`, from which the tables of `docs/performance.md` and of both READMEs are written (`published.py`,
`document.py`, `sizing.py`).
"""
