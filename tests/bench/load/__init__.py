"""Made-up households and events in the numbers of a province, made fast: the load of the benchmark."""
